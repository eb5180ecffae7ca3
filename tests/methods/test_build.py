"""Instantiation of methods, those of users included."""

from pathlib import Path

import pytest

from ftlab.config.groups import MethodConfig
from ftlab.core.errors import ConfigError
from ftlab.methods import build_method
from ftlab.methods.base import TuningMethod
from ftlab.methods.partial import Full
from tests.fixtures.refusals import refused


def config_of(target: str) -> MethodConfig:
    return MethodConfig.model_validate({"_target_": target, "name": "mine", "lr": 1e-3})


@pytest.mark.parametrize(("former", "name"), [("added_positions", "num_virtual_tokens"), ("bare", "reference_logits")])
def test_a_member_by_its_former_name_would_have_no_effect_and_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, former: str, name: str
) -> None:
    assert hasattr(TuningMethod, name)
    module = f"mine_{former}"
    (tmp_path / f"{module}.py").write_text(
        f"from ftlab.methods.partial import Full\n\nclass Mine(Full):\n    {former} = 7\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with refused(ConfigError, f"{module}.Mine", former, name):
        build_method(config_of(f"{module}.Mine"))


def test_an_import_that_moved_is_named_with_the_module_to_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine_of_before.py").write_text("from ftlab.tasks.spec import Task\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with refused(ConfigError, "method=mine", "ftlab.tasks.spec", "mine_of_before"):
        build_method(config_of("mine_of_before.Mine"))


def test_a_method_is_built_with_its_settings() -> None:
    assert isinstance(build_method(config_of("ftlab.methods.partial.Full")), Full)
