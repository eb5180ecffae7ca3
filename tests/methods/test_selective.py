"""Methods that choose among the base's own parameters."""

from pathlib import Path

import pytest

from ftlab import methods
from ftlab.errors import ConfigError, UserError
from ftlab.methods.base import trainable_names
from tests.configs import composed
from tests.training import applied, config_for, fresh_base, task_named


def test_full_trains_everything(tmp_path: Path) -> None:
    _, model = applied(config_for("full", "bert", tmp_path), task_named("classification"))
    assert trainable_names(model) == [name for name, _ in model.named_parameters()]


def test_head_trains_the_classifier_alone(tmp_path: Path) -> None:
    _, model = applied(config_for("head", "bert", tmp_path), task_named("classification"))
    assert trainable_names(model) == ["classifier.weight", "classifier.bias"]


def test_head_of_a_tied_language_model_is_its_embedding(tmp_path: Path) -> None:
    _, model = applied(config_for("head", "llama", tmp_path), task_named("instruction"))
    assert trainable_names(model) == ["model.embed_tokens.weight"]


def test_partial_trains_the_last_block_and_the_head(tmp_path: Path) -> None:
    _, model = applied(config_for("partial", "bert", tmp_path, "method.layers=1"), task_named("classification"))
    trains = trainable_names(model)
    assert {"classifier.weight", "classifier.bias"} < set(trains)
    assert all(name.startswith(("bert.encoder.layer.1.", "classifier.")) for name in trains)


def test_more_layers_than_there_are_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"method\.layers=9 is more than the model has: it has 2"):
        applied(config_for("partial", "bert", tmp_path, "method.layers=9"), task_named("classification"))


@pytest.mark.parametrize("layers", ["0", "two", "true", "1.5"])
def test_layers_must_be_a_number_of_blocks(layers: str) -> None:
    with pytest.raises(ConfigError, match=r"method\.layers=.* is not valid"):
        methods.build(composed("method=partial", f"method.layers={layers}").method)


@pytest.mark.parametrize("name", ["full", "partial"])
def test_quantised_weights_cannot_train(name: str, tmp_path: Path) -> None:
    config = config_for(name, "llama", tmp_path, "quant=int8")
    task = task_named("instruction")
    with pytest.raises(UserError, match=r"is quantised and cannot train: use quant=none"):
        methods.build(config.method).apply(fresh_base(config, task), task)
