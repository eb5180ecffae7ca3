"""Losses and metrics are those of the reference implementations."""

import math
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule
from torch.utils._python_dispatch import TorchDispatchMode

from ftlab import tasks
from ftlab.core.errors import ConfigError, UserError
from ftlab.record import Metric
from ftlab.tasks.base import NonFiniteLoss
from ftlab.tasks.classification import ClassificationScores
from ftlab.tasks.language_model import LanguageModelScores, _perplexity
from ftlab.train.optim import optimizer_factory
from tests.fixtures.refusals import refused
from tests.training import applied, batch_for, config_for, give_trainer, task_named

WHOLE = {"index": 0, "loss": 0.0, "label": "a", "prediction": "a"}


def _module(kind: str, task_name: str) -> LightningModule:
    task = task_named(task_name).for_architecture("encoder-decoder" if kind == "t5" else "decoder")
    config = config_for("full", kind, "model.dropout=0.0" if kind == "bert" else "model.dropout=null")
    method, model = applied(config, task)
    return tasks.build_task(task, model, method, optimizer_factory(config.optim, total_steps=1))


@pytest.mark.parametrize("kind", ["gpt2", "llama", "t5"])
def test_the_response_loss_is_that_of_transformers(kind: str) -> None:
    module = _module(kind, "instruction").eval()
    batch = batch_for(module.task)
    inputs = {key: batch[key] for key in ("input_ids", "attention_mask", "labels")}
    with torch.no_grad():
        torch.testing.assert_close(module.loss(batch), module.model(**inputs).loss)


def test_the_classification_loss_is_that_of_transformers() -> None:
    module, batch = _module("bert", "classification").eval(), batch_for(task_named("classification"))
    inputs = {key: batch[key] for key in ("input_ids", "attention_mask", "labels")}
    with torch.no_grad():
        torch.testing.assert_close(module.loss(batch), module.model(**inputs).loss)


def test_each_example_gets_the_mean_loss_of_its_own_tokens() -> None:
    module, batch = _module("llama", "instruction").eval(), batch_for(task_named("instruction"))
    with torch.no_grad():
        predictions = module.evaluate(batch, module.test_scores)
        for row, prediction in enumerate(predictions):
            alone = {key: value[row : row + 1] for key, value in batch.items()}
            assert prediction["loss"] == pytest.approx(module.loss(alone).item(), rel=1e-5)
            assert prediction["tokens"] == int((batch["labels"][row, 1:] != -100).sum())
    overall = module.test_scores.compute()
    tokens = sum(prediction["tokens"] for prediction in predictions)
    mean = sum(prediction["loss"] * prediction["tokens"] for prediction in predictions) / tokens
    assert overall["loss"].value == pytest.approx(mean, rel=1e-5)
    assert overall["perplexity"].value == pytest.approx(math.exp(mean), rel=1e-4)
    assert {metric.n for metric in overall.values()} == {tokens}


def test_metrics_start_afresh_after_each_summary() -> None:
    scores = ClassificationScores(2)
    logits = torch.tensor([[2.0, 1.0], [0.0, 1.0]])
    scores.update(logits, torch.tensor([0, 1]), torch.zeros(2))
    assert scores.compute()["accuracy"].value == 1.0
    scores.update(logits, torch.tensor([1, 0]), torch.ones(2))
    second = scores.compute()
    assert (second["accuracy"].value, second["loss"].value, second["loss"].n) == (0.0, 1.0, 2)


def test_macro_f1_weighs_classes_equally() -> None:
    scores = ClassificationScores(2)
    guesses = torch.tensor([0] * 9 + [0])  # nine of class 0 right, the one of class 1 wrong
    scores.update(torch.nn.functional.one_hot(guesses, 2).float(), torch.tensor([0] * 9 + [1]), torch.zeros(10))
    summary = scores.compute()
    assert summary["accuracy"].value == pytest.approx(0.9)
    assert summary["macro_f1"].value == pytest.approx((2 * 9 / (2 * 9 + 1) + 0) / 2)


def test_a_perplexity_beyond_floats_has_no_value() -> None:
    assert (_perplexity(1e4, 3).value, _perplexity(1e4, 3).status) == (None, "overflow")
    scores = LanguageModelScores()
    scores.update(torch.tensor([1e4]), torch.tensor([0.0]))
    assert scores.compute()["perplexity"].value is None


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_validation_loss_that_is_no_number_stops_the_run(bad: float) -> None:
    module = _module("bert", "classification")
    with torch.no_grad():
        module.model.classifier.bias[0] = bad
    module.eval()
    batch = batch_for(task_named("classification"))
    module.evaluate(batch, module.val_scores)
    with refused(NonFiniteLoss, "val", "step 0", "optim.lr", "optim.grad_clip"):
        module.on_validation_epoch_end()


def test_the_checkpoint_brings_its_own_validation_results() -> None:
    module = _module("bert", "classification")
    module.results["val"] = {"loss": Metric(value=0.5, n=4)}
    checkpoint = {"state_dict": module.state_dict()}
    module.on_save_checkpoint(checkpoint)
    module.results["val"] = {"loss": Metric(value=0.9, n=4)}  # of a later, worse validation
    module.on_load_checkpoint(checkpoint)
    assert module.results["val"]["loss"].value == 0.5


def test_a_loss_that_is_no_number_stops_the_run() -> None:
    module = _module("bert", "classification")
    with torch.no_grad():
        module.model.classifier.weight.fill_(float("nan"))
    give_trainer(module)
    with refused(NonFiniteLoss, "nan", "step 0", "optim.lr", "optim.grad_clip"):
        module.training_step(batch_for(task_named("classification")), 0)


class Waits(TorchDispatchMode):
    """Counts how often a number is taken off the device, for which the processor waits until all before it is done."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(("accumulate", "looked"), [(1, [2, 5]), (2, [5])])
def test_a_step_whose_loss_is_not_written_down_does_not_wait_for_the_device(accumulate: int, looked: list[int]) -> None:
    module, batch = _module("bert", "classification"), batch_for(task_named("classification"))
    trainer = give_trainer(module, accumulate=accumulate, every=3)
    waits = []
    for number in range(6):
        trainer.global_step = number // accumulate
        with Waits() as found:
            module.training_step(batch, number)
        waits.append(found.count)
    fewest = min(waits)  # of the model itself
    assert [number for number, count in enumerate(waits) if count > fewest] == looked


def test_a_checkpoint_holds_what_trains_and_nothing_else() -> None:
    task = task_named("classification")
    config = config_for("lora", "bert")
    method, model = applied(config, task)
    module = tasks.build_task(task, model, method, optimizer_factory(config.optim, total_steps=1))
    checkpoint = {"state_dict": module.state_dict()}
    module.on_save_checkpoint(checkpoint)
    assert sorted(checkpoint["state_dict"]) == sorted(f"model.{name}" for name in module.trainable)
    module.on_load_checkpoint(checkpoint)
    del checkpoint["state_dict"][f"model.{module.trainable[0]}"]
    with refused(UserError, module.trainable[0]):
        module.on_load_checkpoint(checkpoint)


@pytest.mark.parametrize(
    "returned",
    [None, [], [WHOLE], [{**WHOLE, "index": 0}] * 5, [{"label": "a"}] * 4, ["a"] * 4, [{"index": 0, "loss": 0.0}] * 4],
    ids=["nothing", "none", "too few", "too many", "without an index", "no dicts", "without a prediction"],
)
def test_predictions_that_are_not_one_dict_per_example_are_refused(returned: Any) -> None:
    module, batch = _module("bert", "classification").eval(), batch_for(task_named("classification"))
    module.evaluate = lambda *_: returned
    for step in (module.validation_step, module.test_step):
        with refused(ConfigError, "Classification.evaluate", "index"):
            step(batch, 0)


def test_a_batch_of_two_rows_per_example_is_refused() -> None:
    module, batch = _module("bert", "classification").eval(), batch_for(task_named("classification"))
    module.evaluate = lambda *_: [WHOLE] * 2
    with refused(ConfigError, "dataset.task=classification", "input_ids"), torch.no_grad():
        module.validation_step({**batch, "index": batch["index"][:2]}, 0)


@pytest.mark.parametrize("missing", ["loss", "accuracy"])
def test_a_metric_that_is_shown_or_monitored_and_not_computed_is_named(missing: str) -> None:
    module, batch = _module("bert", "classification").eval(), batch_for(task_named("classification"))
    give_trainer(module)
    with torch.no_grad():
        module.validation_step(batch, 0)
    computed = module.val_scores.compute()
    module.val_scores.compute = lambda: {name: metric for name, metric in computed.items() if name != missing}
    with refused(ConfigError, "ClassificationScores.compute", missing, "classification"):
        module.on_validation_epoch_end()
