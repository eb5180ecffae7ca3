"""Every value of a configuration is checked, and a wrong one is named in one sentence."""

import pytest

from ftlab.errors import ConfigError
from ftlab.schema import RunConfig, validate
from tests.configs import as_dict, composed


def test_the_default_composes() -> None:
    config = composed()
    assert config.method.name == "lora"
    assert config.optim.lr == config.method.lr
    assert config.max_length == config.budget.max_length


def test_a_validated_configuration_survives_a_round_trip() -> None:
    config = composed("method=prefix", "quant=none")
    assert validate(config.model_dump(mode="json", by_alias=True)) == config


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("seed", "abc", r"seed='abc' is not valid: .*integer"),
        ("seed", -1, "seed=-1 is not valid: .*greater than or equal to 0"),
        ("optim.lr", 0, "optim.lr=0 is not valid: .*greater than 0"),
        ("optim.lr", -1e-3, "optim.lr=-0.001 is not valid: .*greater than 0"),
        ("optim.batch_size", 2.5, "optim.batch_size=2.5 is not valid"),
        ("optim.schedule", "liner", "optim.schedule='liner' is not valid: .*'linear'"),
        ("budget.epochs", None, "budget: .*|set epochs or steps"),
        ("hardware.precision", "fp8", "hardware.precision='fp8' is not valid"),
        ("dataset.split_sed", 1, r"dataset.split_sed is not a setting of ftlab: did you mean split_seed\?"),
    ],
)
def test_a_wrong_value_is_named(key: str, value: object, sentence: str) -> None:
    config = as_dict()
    group = config
    *parents, last = key.split(".")
    for parent in parents:
        group = group[parent]
    group[last] = value
    with pytest.raises(ConfigError, match=sentence):
        validate(config)


def test_a_missing_value_is_named() -> None:
    config = as_dict()
    del config["optim"]["warmup"]
    with pytest.raises(ConfigError, match=r"optim\.warmup is missing"):
        validate(config)


def test_a_batch_that_cannot_be_split_is_refused() -> None:
    config = as_dict("optim.batch_size=16")
    config["optim"]["accumulate"] = 3
    with pytest.raises(ConfigError, match=r"optim\.batch_size=16 cannot be split evenly into 3 parts"):
        validate(config)


def test_the_effective_batch_does_not_depend_on_the_devices() -> None:
    one, two = composed("hardware=ddp_cpu", "hardware.devices=1"), composed("hardware=ddp_cpu")
    assert one.micro_batch_size == 2 * two.micro_batch_size
    assert one.optim.batch_size == two.optim.batch_size


def test_every_setting_is_known_to_the_schema() -> None:
    assert set(as_dict()) == set(RunConfig.model_fields)
