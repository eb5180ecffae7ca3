"""PEFT's settings, read without an import, are those of its classes."""

import dataclasses

import peft
import pytest

from ftlab.config.peft_settings import peft_settings, require_peft_settings
from ftlab.core.errors import ConfigError
from tests.fixtures.refusals import refused


@pytest.mark.parametrize("name", ["LoraConfig", "LoHaConfig", "LoKrConfig", "IA3Config", "VeraConfig", "OFTConfig"])
def test_they_are_the_fields_of_the_class(name: str) -> None:
    fields = {field.name for field in dataclasses.fields(getattr(peft, name)) if field.init}
    settings = peft_settings(f"peft.{name}")
    assert {"target_modules", "modules_to_save"} <= settings <= fields
    assert fields - settings <= {"task_type", "inference_mode", "peft_type", "auto_mapping", "peft_version"}


@pytest.mark.parametrize("target", ["mine.LoraConfig", "peft.NoSuchConfig", "LoraConfig", None, 3])
def test_other_classes_have_none(target: object) -> None:
    assert not peft_settings(target)
    require_peft_settings({"config": {"_target_": target, "anything": 1}})


@pytest.mark.parametrize("method", [None, {}, {"config": None}, {"config": {"anything": 1}}])
def test_methods_without_a_configuration_of_peft(method: object) -> None:
    require_peft_settings(method)


def test_a_typo_is_named() -> None:
    with refused(ConfigError, "method.config.use_rslra", "mean use_rslora?", "peft.LoraConfig"):
        require_peft_settings({"config": {"_target_": "peft.LoraConfig", "r": 8, "use_rslra": True}})
