"""Entities are scored as seqeval does, over every word, seen or not."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics import f1_score

from ftlab import tasks
from ftlab.tasks.token_classification import TokenClassification, TokenScores, predicted_tags
from ftlab.train.optim import optimizer_factory
from tests.training import TAGS, applied, batch_for, config_for, task_for_model, task_named


def made(kind: str, method: str = "full") -> TokenClassification:
    config = config_for(method, kind)
    task = task_for_model(config, task_named("token_classification"))
    used, model = applied(config, task)
    module = tasks.build_task(task, model, used, optimizer_factory(config.optim, total_steps=1)).eval()
    assert isinstance(module, TokenClassification)
    return module


@pytest.mark.parametrize("kind", ["bert", "gpt2", "llama", "t5"])
def test_the_loss_is_that_of_transformers(kind: str) -> None:
    module = made(kind)
    batch = batch_for(module.task)
    inputs = {key: batch[key] for key in ("input_ids", "attention_mask", "labels")}
    with torch.no_grad():
        torch.testing.assert_close(module.loss(batch), module.model(**inputs).loss)


@pytest.mark.parametrize(("kind", "method"), [("bert", "prompt"), ("bert", "prefix"), ("gpt2", "p_tuning")])
def test_virtual_tokens_have_no_label(kind: str, method: str) -> None:
    module = made(kind, method)
    batch = batch_for(module.task)
    with torch.no_grad():
        assert module._logits(batch).shape == (*batch["input_ids"].shape, len(TAGS))


def test_predictions_have_a_tag_for_every_word() -> None:
    module = made("bert")
    batch = batch_for(module.task)
    with torch.no_grad():
        predictions = module.evaluate(batch, module.test_scores)
        for row, prediction in enumerate(predictions):
            alone = {key: value[row : row + 1] for key, value in batch.items()}
            assert prediction["loss"] == pytest.approx(module.loss(alone).item(), rel=1e-5)
            assert len(prediction["label"]) == len(prediction["prediction"]) == int((batch["tags"][row] >= 0).sum())
            assert prediction["prediction"][-1] == "O"  # beyond the end
    summary = module.test_scores.compute()
    words = sum(len(prediction["label"]) for prediction in predictions)
    assert summary["token_accuracy"].n == words == summary["loss"].n + len(predictions)
    labels, guesses = ([one[key] for one in predictions] for key in ("label", "prediction"))
    assert summary["f1"].value == pytest.approx(f1_score(labels, guesses, zero_division=0))


def test_a_batch_of_which_nothing_is_seen_is_no_reason_to_stop() -> None:
    module = made("bert")
    batch = batch_for(module.task)
    batch["labels"][:] = -100
    batch["places"][:] = -1
    assert module.loss(batch).item() == 0
    assert {tag for one in module.evaluate(batch, module.test_scores) for tag in one["prediction"]} == {"O"}
    loss = module.test_scores.compute()["loss"]
    assert loss.value is None
    assert loss.status != "ok"


def test_entities_count_whole() -> None:
    scores = TokenScores(("O", "B-A", "I-A"))
    scores.update([["B-A", "I-A", "O", "B-A"]], [["B-A", "O", "O", "B-A"]], torch.ones(4))
    found = scores.compute()
    assert {name: (metric.value, metric.n) for name, metric in found.items()} == {
        "loss": (1.0, 4),
        "token_accuracy": (0.75, 4),
        "f1": (0.5, 2),
        "precision": (0.5, 2),
        "recall": (0.5, 2),
    }


def test_where_there_are_no_entities_there_is_no_f1() -> None:
    scores = TokenScores(("O", "B-A", "I-A"))
    scores.update([["B-A"]], [["O"]], torch.ones(1))
    assert scores.compute()["f1"].value == 0.0
    scores.update([["O"]], [["O"]], torch.ones(1))  # afresh
    found = scores.compute()
    assert found["f1"].value is None
    assert "entities" in found["f1"].status
    assert found["token_accuracy"].value == 1.0


def test_parts_of_speech_have_a_macro_f1() -> None:
    scores = TokenScores(("ADJ", "NOUN", "VERB"))
    scores.update([["NOUN", "NOUN", "VERB", "VERB"]], [["NOUN", "VERB", "VERB", ""]], torch.ones(3))
    found = scores.compute()
    assert set(found) == {"loss", "token_accuracy", "macro_f1"}
    assert found["token_accuracy"].value == 0.5  # a word that is not seen is not right
    assert found["macro_f1"].value == pytest.approx((2 / 3 + 1 / 2) / 2)


ROW = st.lists(st.tuples(st.sampled_from(TAGS), st.sampled_from(TAGS)), min_size=1, max_size=6)


@given(st.lists(ROW, min_size=1, max_size=4))
def test_f1_is_that_of_seqeval_however_it_comes_in(rows: list[list[tuple[str, str]]]) -> None:
    true, guessed = ([[pair[side] for pair in row] for row in rows] for side in (0, 1))
    scores = TokenScores(TAGS)
    for one, other in zip(true, guessed, strict=True):
        scores.update([one], [other], torch.ones(len(one)))
    found = scores.compute()["f1"].value
    assert (found or 0.0) == pytest.approx(f1_score(true, guessed, zero_division=0))


def test_words_without_a_place_are_o_or_nothing() -> None:
    logits = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]])
    assert predicted_tags(logits, torch.tensor([[0, -1, 1]]), ("O", "B-A")) == [["B-A", "O", "O"]]
    assert predicted_tags(logits, torch.tensor([[0, -1, 1]]), ("ADJ", "NOUN")) == [["NOUN", "", "ADJ"]]
