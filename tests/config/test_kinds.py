"""A user's own task kinds: how they are found, and what is said where they cannot be used."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftlab.cli.hydra_command import run_with_hydra
from ftlab.config.fingerprint import config_hash, determinants
from ftlab.config.kinds import all_kinds, entry_of, kind_named, register_kinds
from ftlab.config.run_config import validate
from ftlab.core.errors import ConfigError
from ftlab.data.dataset import data_class_of
from tests.fixtures.compose import as_dict, compose_anew, composed
from tests.fixtures.refusals import refused
from tests.fixtures.user_kinds import WriteKind


def test_a_module_in_the_working_directory_is_a_kind(write_kind: WriteKind) -> None:
    write_kind("stars_a.py", packs=True)
    config = composed("dataset.task=stars_a", "kinds=[stars_a]")
    assert config.dataset.kind.packs
    assert config.kinds == ["stars_a"]
    assert kind_named("stars_a") in all_kinds()


def test_a_file_is_a_kind_wherever_it_lies_and_its_path_is_absolute(write_kind: WriteKind, tmp_path: Path) -> None:
    write_kind("deep/er/stars_b.py")
    config = composed("dataset.task=stars_b", "kinds=[deep/er/stars_b.py]")
    assert config.kinds == [str(tmp_path / "deep" / "er" / "stars_b.py")]
    again = config.model_dump(mode="json", by_alias=True)
    assert validate(again) == config


def test_kinds_that_a_run_does_not_need_are_no_part_of_its_configuration(write_kind: WriteKind) -> None:
    write_kind("stars_c.py")
    write_kind("stars_d.py")
    register_kinds(["stars_c", "stars_d"])
    assert composed("kinds=[stars_c]").kinds == []
    assert "kinds" not in composed().model_dump(mode="json")
    assert composed("dataset.task=stars_d").kinds == ["stars_d"]  # of the folder of a --config-dir
    assert entry_of("classification") is None


def test_where_a_kind_lies_does_not_change_what_a_run_is(write_kind: WriteKind, tmp_path: Path) -> None:
    write_kind("one/stars_e.py")
    values = {**as_dict(), "kinds": ["one/stars_e.py"]}
    values["dataset"]["task"] = "stars_e"
    here = validate(values)
    assert determinants(here)["kinds"] == ["stars_e"]
    assert "kinds" not in determinants(composed())
    elsewhere = here.model_copy(update={"kinds": ["/elsewhere/stars_e.py"]})
    assert config_hash(elsewhere) == config_hash(here)
    assert config_hash(here.model_copy(update={"kinds": ["/elsewhere/stars_f.py"]})) != config_hash(here)
    two = [here.model_copy(update={"kinds": kinds}) for kinds in (["/a/y.py", "/b/x.py"], ["/a/x.py", "/b/y.py"])]
    assert config_hash(two[0]) == config_hash(two[1])


@pytest.mark.parametrize("method", ["prefix", "head", "p_tuning"])
def test_a_method_with_a_rate_for_each_kind_has_one_for_a_users_kind(write_kind: WriteKind, method: str) -> None:
    write_kind("stars_g.py")
    write_kind("stars_h.py", rates_of="instruction")
    rates = composed(f"method={method}").method.lr_by_task
    for name, like in (("stars_g", "classification"), ("stars_h", "instruction")):
        compose_anew(f"method={method}", f"dataset.task={name}", f"kinds=[{name}]")
        assert composed(f"method={method}", f"dataset.task={name}", f"kinds=[{name}]").optim.lr == rates[like]


def test_a_kind_has_its_own_losses(write_kind: WriteKind) -> None:
    write_kind("stars_i.py", losses=("soft", "cross_entropy"), loss_settings=())
    settings = ("dataset.task=stars_i", "kinds=[stars_i]")
    assert composed(*settings, "loss.name=soft").loss.name == "soft"
    with refused(ConfigError, "loss=focal", "classification or multilabel", "stars_i", "loss=default"):
        composed(*settings, "loss=focal")
    with refused(ConfigError, "loss.label_smoothing", "stars_i"):
        composed(*settings, "loss.label_smoothing=0.1")
    with refused(ConfigError, "loss.name", "softt", "did you mean soft?"):
        composed(*settings, "loss.name=softt")


def test_an_unknown_kind_is_named_with_the_known_ones() -> None:
    with refused(ConfigError, "dataset.task", "clasification", "did you mean classification?", "seq2seq", "kinds="):
        composed("dataset.task=clasification")


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_any_text_is_a_known_kind_or_one_sentence(name: str) -> None:
    if name in [kind.name for kind in all_kinds()]:
        assert kind_named(name).name == name
    else:
        with refused(ConfigError, f"dataset.task={name} "):
            kind_named(name)


@pytest.mark.parametrize("value", [3, {"a": 1}, [1, 2], None])
def test_kinds_are_a_list_of_names(value: Any) -> None:
    with refused(ConfigError, "kinds"):
        validate({**as_dict(), "kinds": value})


@pytest.mark.parametrize("typed", ["3", "[1]", "null"])
def test_typed_kinds_that_are_no_list_are_refused(typed: str, write_kind: WriteKind) -> None:
    write_kind("mine/kinds/stars_o.py")
    for folder in ([], ["--config-dir", "mine"]):
        with refused(ConfigError, "kinds"):
            run_with_hydra([*folder, f"kinds={typed}"], lambda _: None)


def test_typed_kinds_and_those_of_the_folder_are_known_together(write_kind: WriteKind) -> None:
    write_kind("mine/kinds/stars_p.py")
    write_kind("more/stars_q.py")
    seen: list[str] = []
    for task in ("stars_p", "stars_q"):
        arguments = ["--config-dir", "mine", "kinds=[more/stars_q.py]", f"dataset.task={task}", "method=head"]
        run_with_hydra(arguments, lambda config: seen.append(f"{config.dataset.task} {config.kinds} {config.optim.lr}"))
    folder = Path.cwd()
    assert seen == [f"stars_p ['{folder}/mine/kinds/stars_p.py'] 0.01", f"stars_q ['{folder}/more/stars_q.py'] 0.01"]


def test_a_task_that_is_missing_or_refers_to_nothing_is_named() -> None:
    with refused(ConfigError, "dataset.task"):
        composed("dataset.task=???")
    with refused(ConfigError, "nowhere"):
        composed("dataset.task=${nowhere}")


@pytest.mark.parametrize(
    ("data", "culprits"),
    [
        ("ftlab.data.classification.ClassificationData", ("classification", "stars_r", "kind = KIND")),
        ("ftlab.data.base.DataModule", ("encode",)),
        ("ftlab.data.mixture.MixtureData", ("DataModule",)),
        ("somewhere_r.Data", ("has no kind", "stars_r")),
    ],
)
def test_a_data_class_that_is_not_of_the_kind_is_named(
    data: str, culprits: tuple[str, ...], write_kind: WriteKind
) -> None:
    write_kind(
        "somewhere_r.py",
        "from ftlab.data.base import DataModule\nclass Data(DataModule):\n    task = encode = None\n",
    )
    write_kind("stars_r.py", data=data)
    register_kinds(["stars_r.py"])
    with refused(ConfigError, data, *culprits):
        data_class_of(kind_named("stars_r"))


def test_a_kind_that_generates_needs_data_with_prompts(write_kind: WriteKind) -> None:
    text = (
        "from dataclasses import replace\n"
        "from ftlab.kinds.instruction import KIND as PROMPTS\n"
        "KIND = replace(PROMPTS, name='stars_s', data='data_s.Data')\n"
    )
    write_kind("stars_s.py", text)
    parts = "from ftlab.data.classification import ClassificationData\nfrom stars_s import KIND\n"
    write_kind("data_s.py", parts + "class Data(ClassificationData):\n    kind = KIND\n")
    register_kinds(["stars_s.py"])
    with refused(ConfigError, "data_s.Data", "GenerativeData", "generation_columns"):
        data_class_of(kind_named("stars_s"))
