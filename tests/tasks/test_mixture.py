"""Mixtures of tasks: each row is learned and scored by its own part's outputs alone."""

from dataclasses import replace

import pytest
import torch
from lightning.pytorch import seed_everything

from ftlab import tasks
from ftlab.config.task import Task, mixture_task
from ftlab.core.batch import Batch
from ftlab.core.errors import UserError
from ftlab.kinds.mixture import KIND as MIXTURE
from ftlab.tasks.base import TaskModule
from ftlab.tasks.mixture import Mixture
from tests.fixtures.refusals import refused
from tests.training import batch_for, config_for, module_for, task_for_model, task_named

NAMES = ("classification", "regression", "multilabel")
MIXED = mixture_task(MIXTURE, {name: task_named(name) for name in NAMES})


def of_part(name: str, *, seed: int, examples: int = 4) -> Batch:
    """Return a batch of one part, as `MixtureData` would make it, and with the part's own answers under `own`."""
    batch = batch_for(task_named(name), examples=examples, seed=seed)
    own = batch["labels"]
    width = max(len(task_named(kind).labels) for kind in ("regression", "multilabel"))
    labels = torch.zeros(examples, width)
    given = own.float().reshape(examples, -1)
    labels[:, : given.shape[1]] = given
    return {**batch, "labels": labels, "part": torch.full((examples,), NAMES.index(name)), "own": own}


def together(*batches: Batch) -> Batch:
    """Return all rows in one batch, in an order that no part has."""
    order = torch.randperm(sum(len(batch["index"]) for batch in batches), generator=torch.Generator().manual_seed(0))
    return {key: torch.cat([batch[key] for batch in batches])[order] for key in batches[0] if key != "own"}


def made(method: str = "full") -> Mixture:
    config = config_for(method, "bert", "model.dropout=0.0")
    module = module_for(config, task_for_model(config, MIXED), steps=4)
    assert isinstance(module, Mixture)
    return module


def gradients(module: TaskModule[Mixture], loss: torch.Tensor) -> dict[str, torch.Tensor]:
    module.zero_grad()
    loss.backward()
    return {name: p.grad.clone() for name, p in module.model.named_parameters() if p.grad is not None}


def test_the_gradient_of_a_mixed_step_is_the_mean_of_its_parts_by_rows() -> None:
    module = made()
    sizes = {"classification": 6, "regression": 2, "multilabel": 4}
    batches = {name: of_part(name, seed=n, examples=sizes[name]) for n, name in enumerate(NAMES)}
    whole = gradients(module, module.loss(together(*batches.values())))
    summed: dict[str, torch.Tensor] = {}
    for name, batch in batches.items():
        alone = {key: value for key, value in batch.items() if key != "own"}
        for key, gradient in gradients(module, module.loss(alone)).items():
            summed[key] = summed.get(key, torch.zeros(())) + gradient * sizes[name] / 12
    assert whole.keys() == summed.keys()
    for key, gradient in whole.items():
        torch.testing.assert_close(gradient, summed[key], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("name", NAMES)
def test_a_part_teaches_and_scores_with_its_own_outputs_alone(name: str) -> None:
    module = made()
    batch = of_part(name, seed=3)
    own = batch.pop("own")
    of_head = gradients(module, module.loss(batch))["classifier.weight"].abs().sum(1)
    outputs = MIXED.output_slice(name)
    assert (of_head[outputs] > 0).all()
    assert not of_head.sum() - of_head[outputs].sum()
    scores = module.eval().new_scores()
    found = module.evaluate(batch, scores)
    assert {row["task"] for row in found} == {name}
    with torch.no_grad():  # what another part's outputs say changes nothing
        others = torch.ones(len(MIXED.labels), dtype=torch.bool)
        others[outputs] = False
        module.model.classifier.weight[others] += 1.0
    assert module.evaluate(batch, scores) == found
    plain = module.parts[name].evaluate({**batch, "labels": own}, module.parts[name].new_scores())
    assert [row["loss"] for row in plain] == [row["loss"] for row in found]


def test_metrics_are_apart_and_means_where_every_part_has_the_metric() -> None:
    both = mixture_task(MIXTURE, {"one": task_named("classification"), "two": task_named("classification")})
    config = config_for("head", "bert")
    module = module_for(config, task_for_model(config, both), steps=4)
    batch = {**batch_for(task_named("classification"), examples=6), "part": torch.tensor([0, 1, 0, 1, 1, 1])}
    batch["labels"] = batch["labels"].float()[:, None]
    scores = module.new_scores()
    rows = module.evaluate(batch, scores)
    found = scores.compute()
    assert (found["one/accuracy"].n, found["two/accuracy"].n, found["accuracy"].n) == (2, 4, 6)
    for metric in ("loss", "accuracy", "macro_f1"):
        mean = (found[f"one/{metric}"].value + found[f"two/{metric}"].value) / 2
        assert found[metric].value == pytest.approx(mean)
    assert "mcc" not in found
    assert [column.metric for column in both.columns][:3] == ["accuracy", "macro_f1", "one/accuracy"]
    assert {row["label"] for row in rows} <= set(task_named("classification").labels)  # no JSON where all are names
    assert found["one/loss"].value == pytest.approx(sum(row["loss"] for row in rows if row["task"] == "one") / 2)


def test_tokens_of_texts_count_alike_whatever_their_part() -> None:
    task = mixture_task(MIXTURE, {"a": task_named("instruction"), "b": task_named("instruction")})
    config = config_for("full", "llama", "model.dropout=null")
    module = module_for(config, task_for_model(config, task), steps=2)
    batch = {**batch_for(task_named("instruction"), examples=4), "part": torch.tensor([0, 1, 1, 1])}
    alone = tasks.build_task(task_named("instruction"), module.model, module.method, module.make_optimizer)
    torch.testing.assert_close(module.loss(batch), alone.loss(batch))
    for logits in ("labelled", "chunks"):
        fast = tasks.build_task(module.task, module.model, module.method, module.make_optimizer, logits=logits)
        torch.testing.assert_close(fast.loss(batch), alone.loss(batch))


def test_labelled_words_of_two_sets_have_outputs_of_their_own() -> None:
    words = task_named("token_classification")
    task = mixture_task(MIXTURE, {"a": words, "b": replace(words, labels=("O", "X"), label_shares=(0.5, 0.5))})
    config = config_for("lora", "bert")
    module = module_for(config, task_for_model(config, task), steps=2)
    seed_everything(0, verbose=False)
    batch = {**batch_for(words, examples=4), "part": torch.tensor([0, 1, 0, 1])}
    for key in ("labels", "tags"):
        batch[key][1::2] = batch[key][1::2].clamp(max=1)
    rows = module.evaluate(batch, module.new_scores())
    assert {tag for row in rows if row["task"] == "b" for tag in json_list(row["prediction"])} <= {"O", "X", ""}
    assert torch.isfinite(module.loss(batch))


def json_list(value: list[str]) -> list[str]:
    assert isinstance(value, list)
    return value


def test_outputs_stand_side_by_side() -> None:
    assert [MIXED.output_slice(name) for name in NAMES] == [slice(0, 3), slice(3, 5), slice(5, 8)]
    assert MIXED.labels[2:4] == ("classification/tech", "regression/valence")
    with pytest.raises(KeyError):
        MIXED.output_slice("other")


@pytest.mark.parametrize("method", ["majority", "zero_shot", "few_shot", "prompt_head"])
def test_methods_for_one_data_set_say_so(method: str) -> None:
    config = config_for(method, "bert")
    with refused(UserError, f"method={method}"):
        task_for_model(config, MIXED)


def test_running_text_and_translations_share_no_encoder_decoder() -> None:
    task: Task = mixture_task(MIXTURE, {"a": task_named("instruction"), "b": task_named("instruction")})
    assert task.for_architecture("encoder-decoder").head.auto_class == "AutoModelForSeq2SeqLM"
    assert {part.head.module for _, part in task.for_architecture("encoder-decoder").parts} == {
        "ftlab.tasks.language_model.Seq2Seq"
    }
