"""Single settings of a resolved configuration are changed, and what needs presets or several runs is refused."""

from typing import Any

import pytest
from hydra.errors import HydraException

from ftlab.config.compose import explain
from ftlab.config.overrides import with_overrides
from ftlab.config.run_config import validate
from ftlab.core.errors import ConfigError
from tests.fixtures.compose import as_dict
from tests.fixtures.refusals import refused


@pytest.fixture
def values() -> dict[str, Any]:
    return as_dict("method=lora")


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("seed=3", ("seed",), 3),
        ("optim.lr=1e-3", ("optim", "lr"), 1e-3),
        ("method.config.r=4", ("method", "config", "r"), 4),
        ("optim.betas=[0.8,0.9]", ("optim", "betas"), [0.8, 0.9]),
        ("optim.grad_clip=null", ("optim", "grad_clip"), None),
        ("+method.config.use_dora=true", ("method", "config", "use_dora"), True),
        ("++method.config.use_dora=true", ("method", "config", "use_dora"), True),
        ("dataset.source={train: a.csv}", ("dataset", "source", "train"), "a.csv"),
        ("dataset.template='${{ prompt }}'", ("dataset", "template"), "${{ prompt }}"),
        ("search.rung=0.5", ("search", "rung"), 0.5),  # these are left out where they are unset
        ("sweep.val_predictions=true", ("sweep", "val_predictions"), True),
        ("sweep.name='a b'", ("sweep", "name"), "a b"),
    ],
)
def test_a_setting_is_changed_and_nothing_else(
    text: str, path: tuple[str, ...], value: object, values: dict[str, Any]
) -> None:
    if text.startswith("dataset.source="):
        values["dataset"]["source"] = {}
    before = repr(values)
    place: Any = with_overrides(values, [text])
    validate(place)
    for key in path:
        place = place[key]
    assert place == value
    assert repr(values) == before, "the configuration that it was made of has changed"


def test_later_overrides_win(values: dict[str, Any]) -> None:
    assert with_overrides(values, ["seed=1", "seed=2"])["seed"] == 2


@pytest.mark.parametrize(
    ("text", "culprits"),
    [
        ("optim.leraning_rate=1", ("optim.leraning_rate", "lr")),
        ("optm.lr=1", ("optm", "mean optim?")),
        ("sede=1", ("sede", "mean seed?")),
        ("seed.x=1", ("seed.x", "seed")),
        ("method.config.rr=4", ("method.config.rr", "mean r?")),
        ("method.config.r.x=4", ("method.config.r.x",)),
        ("speed.trunk=off", ("speed.trunk", "speed.frozen_layers")),
        ("method=lora", ("method=lora", "ftlab train")),
        ("experiment=bert_imdb_full", ("experiment=", "ftlab train")),
        ("dataset@dataset.parts.a=sst2", ("dataset@", "ftlab train")),
        ("hydra/launcher=ray", ("hydra/launcher=ray",)),
        ("hydra.launcher.jobs=2", ("hydra.launcher.jobs=2",)),
        ("hydra=1", ("hydra=1",)),
        ("seed=0,1", ("seed=0,1",)),
        ("seed=range(0,2)", ("seed=range(0,2)",)),
        ("~optim.lr", ("~optim.lr",)),
        ("-m", ("-m",)),
        ("--multirun", ("--multirun",)),
        ("--turst", ("--turst", "--help")),
        ("method.lr=1e-3", ("method.lr", "optim.lr")),
        ("method.lr_by_task.text=1e-3", ("method.lr_by_task", "optim.lr")),
        ("kinds=[mine]", ("kinds", "--kinds")),
        ("plan=true", ("plan",)),
        ("search.name=lr", ("search.name",)),
        ("budget.trials=3", ("budget.trials",)),
        ("optim={lr: 1}", ("optim",)),
        ("method.config={r: 1}", ("method.config", "lora_alpha")),
        ("method.name='${seed}'", ("method.name",)),
    ],
)
def test_what_cannot_be_applied_is_refused(text: str, culprits: tuple[str, ...], values: dict[str, Any]) -> None:
    with refused(ConfigError, *culprits):
        with_overrides(values, [text])


@pytest.mark.parametrize("text", ["seed", "a b=1", "seed=[1"])
def test_what_is_no_override_is_told(text: str, values: dict[str, Any]) -> None:
    with pytest.raises(HydraException) as error:
        with_overrides(values, [text])
    assert text in explain(error.value)
