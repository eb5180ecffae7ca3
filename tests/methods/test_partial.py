"""Methods that choose among the base's own parameters."""

import pytest
from torch import nn

from ftlab import methods
from ftlab.core.errors import ConfigError, UserError
from ftlab.methods.base import trainable_names
from ftlab.models.structure import head_names
from tests.fixtures.compose import composed
from tests.fixtures.refusals import refused
from tests.training import applied, config_for, fresh_base, task_for_model, task_named


def test_full_trains_everything() -> None:
    _, model = applied(config_for("full", "bert"), task_named("classification"))
    assert trainable_names(model) == [name for name, _ in model.named_parameters()]


def test_head_trains_the_classifier_alone() -> None:
    _, model = applied(config_for("head", "bert"), task_named("classification"))
    assert trainable_names(model) == ["classifier.weight", "classifier.bias"]


def test_head_of_a_tied_language_model_is_its_embedding() -> None:
    _, model = applied(config_for("head", "llama"), task_named("instruction"))
    assert trainable_names(model) == ["model.embed_tokens.weight"]


def test_head_of_an_encoder_decoder_is_its_shared_embedding() -> None:
    config = config_for("head", "t5")
    _, model = applied(config, task_for_model(config, task_named("instruction")))
    assert trainable_names(model) == ["shared.weight"]


def _partial(layers: str, kind: str = "bert", task_name: str = "classification") -> list[str]:
    """Return what trains, without the head."""
    config = config_for("partial", kind, f"method.layers={layers}")
    _, model = applied(config, task_for_model(config, task_named(task_name)))
    trains, head = trainable_names(model), set(head_names(model))
    assert head
    assert head <= set(trains)
    return [name for name in trains if name not in head]


@pytest.mark.parametrize(
    ("layers", "trained"),
    [("1", {1}), ("2", {0, 1}), ("[0]", {0}), ("[-1]", {1}), ("[-2,1]", {0, 1}), ("'layer\\.(0|7)\\.'", {0})],
)
def test_partial_trains_the_chosen_blocks(layers: str, trained: set[int]) -> None:
    trains = _partial(layers)
    assert {name.split(".")[3] for name in trains} == {str(block) for block in trained}
    assert len(trains) == 16 * len(trained)  # each of them whole


@pytest.mark.parametrize("layers", ["'\\.query\\.'", r"'(?<=attention\.self\.)query'"])
def test_partial_takes_any_regular_expression(layers: str) -> None:
    trains = _partial(layers)
    assert len(trains) == 4
    assert all(".query." in name for name in trains)


@pytest.mark.parametrize(
    ("layers", "blocks"),
    [
        ("1", {"decoder.block.1"}),
        ("2", {"decoder.block.0", "decoder.block.1"}),
        ("3", {"encoder.block.1", "decoder.block.0", "decoder.block.1"}),
        ("[0,-1]", {"encoder.block.0", "decoder.block.1"}),
    ],
)
def test_last_blocks_of_an_encoder_decoder_are_its_decoders(layers: str, blocks: set[str]) -> None:
    trains = _partial(layers, "t5", "instruction")
    assert {".".join(name.split(".")[:3]) for name in trains} == blocks


@pytest.mark.parametrize(
    ("layers", "culprits"),
    [
        ("9", ("method.layers=9", "2")),
        ("[0,2]", ("method.layers=[0, 2]", "block 2", "-1", "-2")),
        ("[-3]", ("method.layers=[-3]", "block -3", "-1", "-2")),
        ("two", ("method.layers='two'", "bert.encoder.layer.0.")),
    ],
)
def test_blocks_that_are_not_there_are_named(layers: str, culprits: tuple[str, ...]) -> None:
    with refused(UserError, *culprits):
        applied(config_for("partial", "bert", f"method.layers={layers}"), task_named("classification"))


@pytest.mark.parametrize(
    ("layers", "written"),
    [
        *(("0", "0"), ("-1", "-1"), ("true", "True"), ("1.5", "1.5"), ("[]", "[]"), ("[1,true]", "[1, True]")),
        *(("[one]", "['one']"), ("''", "''"), ("null", "None")),
    ],
)
def test_layers_that_cannot_be(layers: str, written: str) -> None:
    with refused(ConfigError, f"method.layers={written}", "[0,-1]"):
        methods.build_method(composed("method=partial", f"method.layers={layers}").method)


def test_a_broken_regular_expression_is_told() -> None:
    with refused(ConfigError, "method.layers='(4'", "missing )"):
        methods.build_method(composed("method=partial", "method.layers='(4'").method)


def test_bitfit_trains_no_weight_of_the_base() -> None:
    _, model = applied(config_for("bitfit", "bert"), task_named("classification"))
    trains = trainable_names(model)
    assert [name for name in trains if name.endswith(".weight")] == ["classifier.weight"]
    assert set(trains) >= {name for name, _ in model.named_parameters() if name.endswith(".bias")}


def test_bitfit_of_a_language_model_leaves_its_output_layer() -> None:
    _, model = applied(config_for("bitfit", "gpt2"), task_named("instruction"))
    assert trainable_names(model)
    assert all(name.endswith(".bias") for name in trainable_names(model))


@pytest.mark.parametrize("task_name", ["classification", "instruction"])
def test_bitfit_wants_biases_of_the_base(task_name: str) -> None:
    """T5's classification head has some, and its relative attention biases are embeddings."""
    config = config_for("bitfit", "t5")
    with refused(UserError, "T5For", "method=bitfit", "method=ln_tuning", "lora"):
        applied(config, task_for_model(config, task_named(task_name)))


def test_ln_tuning_trains_normalisation_alone() -> None:
    _, model = applied(config_for("ln_tuning", "llama"), task_named("instruction"))
    trains = trainable_names(model)
    assert len(trains) == 2 * 2 + 1
    assert all(name.endswith(("layernorm.weight", "model.norm.weight")) for name in trains)


def test_ln_tuning_wants_normalisation_layers() -> None:
    config, task = config_for("ln_tuning", "llama"), task_named("instruction")
    base = fresh_base(config, task)
    for module in list(base.model.modules()):
        for name, child in module.named_children():
            if "Norm" in type(child).__name__:
                setattr(module, name, nn.Identity())
    with refused(UserError, "LlamaForCausalLM", "method=ln_tuning", "method=bitfit", "lora"):
        methods.build_method(config.method).apply(base, task)


@pytest.mark.parametrize("name", ["full", "partial"])
def test_quantised_weights_cannot_train(name: str) -> None:
    config = config_for(name, "llama", "quant=int8")
    task = task_named("instruction")
    with refused(UserError, "quant=none", "method=lora"):
        methods.build_method(config.method).apply(fresh_base(config, task), task)
