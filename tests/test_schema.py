"""Every value of a configuration is checked, and a wrong one is named in one sentence."""

import pytest

from ftlab.errors import ConfigError
from ftlab.schema import RunConfig, validate
from tests.fixtures.compose import as_dict, composed


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
        ("optim.lr", float("inf"), "optim.lr=inf is not valid: .*finite number"),
        ("optim.weight_decay", float("nan"), "optim.weight_decay=nan is not valid: .*finite number"),
        ("optim.eps", float("inf"), "optim.eps=inf is not valid: .*finite number"),
        ("optim.grad_clip", float("inf"), "optim.grad_clip=inf is not valid: .*finite number"),
        ("method.lr", float("inf"), "method.lr=inf is not valid: .*finite number"),
        ("optim.betas", [0.9, 1.0], r"optim.betas.1=1.0 is not valid: .*less than 1"),
        ("optim.betas", [-0.1, 0.9], r"optim.betas.0=-0.1 is not valid: .*greater than or equal to 0"),
        ("optim.batch_size", 2.5, "optim.batch_size=2.5 is not valid"),
        ("optim.schedule", "liner", "optim.schedule='liner' is not valid: .*'linear'"),
        ("budget.epochs", None, "budget: .*|set epochs or steps"),
        ("hardware.precision", "fp8", "hardware.precision='fp8' is not valid"),
        ("hardware.strategy", "dpp", "hardware.strategy='dpp' is not valid: .*'auto', 'ddp' or 'fsdp'"),
        ("model.attention", "flash", "model.attention='flash' is not valid: .*'flash_attention_2'"),
        ("tracker.tags", ["a" * 65], "tracker.tags.0='a+' is not valid: .*at most 64 characters"),
        ("tracker.tags", [""], "tracker.tags.0='' is not valid: .*at least 1 character"),
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


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["hardware.devices=1"], r"hardware: strategy=fsdp shares .* over several devices: set devices, or strategy="),
        (["hardware.accelerator=mps"], r"hardware: strategy=fsdp does not run on Apple's MPS: set accelerator=gpu"),
        (["hardware.precision=16-mixed"], r"strategy=fsdp does not take precision=16-mixed: set precision=bf16-mixed"),
        (["quant=nf4"], r"hardware\.strategy=fsdp cannot share out quantised weights \(quant=nf4\): use hardware\.str"),
        (["method=qlora_int8"], r"cannot share out quantised weights \(quant=int8\)"),
        (["optim=adafactor"], r"cannot share out the state of optim=adafactor: use optim=adamw or sgd"),
        (["optim=adamw_8bit"], r"cannot share out the state of optim=adamw_8bit"),
        (["method=adalora"], r"method=adalora computes with whole weights.*use hardware\.strategy=ddp"),
    ],
)
def test_what_cannot_be_sharded_is_refused(overrides: list[str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        composed("hardware=fsdp_cpu", *overrides)


@pytest.mark.parametrize("method", ["prefix", "p_tuning_v2"])
def test_gradient_checkpointing_with_a_prefix_is_refused(method: str) -> None:
    with pytest.raises(ConfigError, match=rf"method={method} passes .* set model\.gradient_checkpointing=false"):
        composed(f"method={method}", "model.gradient_checkpointing=true")


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


@pytest.mark.parametrize("method", ["prefix", "p_tuning_v2", "prompt", "p_tuning"])
def test_packing_behind_a_soft_prompt_is_refused(method: str) -> None:
    data = ["dataset=chatterbot", "model=smollm2-135m", "optim.packing=true"]
    with pytest.raises(ConfigError, match=f"method={method} puts something in front of each row"):
        composed(f"method={method}", *data)
    assert composed("method=lora", *data).optim.packing


@pytest.mark.parametrize("task", ["classification", "masked_lm"])
def test_packing_what_is_not_written_is_refused(task: str) -> None:
    with pytest.raises(ConfigError, match=f"optim.packing is for models that write, not for {task}"):
        composed(f"dataset.task={task}", "optim.packing=true")


@pytest.mark.parametrize(
    ("halvings", "tokens", "expected"),
    [(0, 1024, (1, "auto")), (2, 1024, (4, 256)), (2, None, (4, "auto")), (3, 5, (8, 1))],
)
def test_smaller_micro_batches_have_fewer_rows_and_shorter_passes(
    halvings: int, tokens: int | None, expected: tuple[int, int | str]
) -> None:
    smaller = composed().with_smaller_micro_batches(halvings, tokens)
    assert (smaller.optim.accumulate, smaller.speed.micro_batch_tokens) == expected
