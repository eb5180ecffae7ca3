"""Metrics are those of scikit-learn and SciPy, start afresh after each validation, and say why they are missing."""

import math
import warnings

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ftlab.record import Metric
from ftlab.tasks.classification import ClassificationScores
from ftlab.tasks.multilabel import MultilabelScores
from ftlab.tasks.regression import RegressionScores
from tests.training import batch_for, config_for, module_for, task_for_model, task_named

sklearn = pytest.importorskip("sklearn.metrics")
stats = pytest.importorskip("scipy.stats")


def _values(found: dict[str, Metric]) -> dict[str, float | None]:
    return {name: metric.value for name, metric in found.items()}


def _drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _in_batches(scores: torch.nn.Module, *columns: torch.Tensor) -> None:
    for parts in zip(*(column.split(7) for column in columns), strict=True):
        scores.update(*parts)


@pytest.mark.parametrize("classes", [2, 5])
def test_classification_is_that_of_scikit_learn_at_every_validation(classes: int) -> None:
    scores = ClassificationScores(classes)
    for seed in range(3):  # a run validates several times
        logits = _drawn(seed, 40, classes)
        labels = (_drawn(seed + 10, 40).abs() * classes).long().clamp(max=classes - 1)
        labels[:classes] = torch.arange(classes)
        _in_batches(scores, logits, labels, F.cross_entropy(logits, labels, reduction="none"))
        found = scores.compute()
        chances, guesses = logits.softmax(-1).double().numpy(), logits.argmax(-1).numpy()
        macro = {"average": "macro", "zero_division": 0}
        of_each = [sklearn.roc_auc_score(labels == c, chances[:, c]) for c in range(classes)]
        expected = {
            "loss": float(F.cross_entropy(logits, labels)),
            "accuracy": sklearn.accuracy_score(labels, guesses),
            "macro_f1": sklearn.f1_score(labels, guesses, **macro),
            "micro_f1": sklearn.f1_score(labels, guesses, average="micro"),
            "macro_precision": sklearn.precision_score(labels, guesses, **macro),
            "macro_recall": sklearn.recall_score(labels, guesses, **macro),
            "mcc": sklearn.matthews_corrcoef(labels, guesses),
            "calibration_error": _calibration_error(chances, labels.numpy()),
            "brier": np.square(chances - np.eye(classes)[labels.numpy()]).sum(-1).mean(),
            "auroc": np.mean(of_each),
        }
        assert _values(found) == pytest.approx(expected, abs=1e-5)
        assert {metric.n for metric in found.values()} == {40}


def test_one_answer_to_all_correlates_with_nothing() -> None:
    """What the majority floor says; of two classes torchmetrics has -0.07 for this."""
    scores = ClassificationScores(2)
    logits, labels = torch.tensor([[1.0, 0.0]] * 24), torch.tensor([0] * 10 + [1] * 14)
    for answers, given in ((logits, labels), (logits.flip(-1), labels), (logits, torch.zeros_like(labels))):
        scores.update(answers, given, torch.zeros(24))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of one class alone in auroc, which has no value then
            assert scores.compute()["mcc"] == Metric(value=0.0, n=24)
    _in_batches(scores, _drawn(0, 40, 2), torch.arange(40) % 2, torch.zeros(40))
    assert scores.compute()["mcc"].value != 0


def _calibration_error(chances: np.ndarray, labels: np.ndarray) -> float:
    """Guo et al. (2017), equation 3."""
    best, right = chances.max(1), chances.argmax(1) == labels
    bins = np.minimum((best * 15).astype(int), 14)
    gaps = [(bins == b).sum() * abs(right[bins == b].mean() - best[bins == b].mean()) for b in set(bins.tolist())]
    return sum(gaps) / len(labels)


def test_a_class_without_a_row_leaves_auroc_without_a_value() -> None:
    scores = ClassificationScores(3)
    logits = _drawn(0, 8, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores.update(logits, torch.arange(8) % 2, torch.zeros(8))
        auroc = scores.compute()["auroc"]
    assert (auroc.value, auroc.n) == (None, 8)
    assert "1 of 3" in auroc.status
    scores.update(logits, torch.arange(8) % 3, torch.zeros(8))
    assert scores.compute()["auroc"].value is not None


@pytest.mark.parametrize("seed", range(3))
def test_multilabel_is_that_of_scikit_learn(seed: int) -> None:
    scores = MultilabelScores(4)
    _in_batches(scores, _drawn(9, 10, 4), torch.ones(10, 4), torch.zeros(10))
    scores.compute()  # of an earlier validation
    logits, given = _drawn(seed, 30, 4), (_drawn(seed + 5, 30, 4) > 0.6).float()
    given[0], given[1] = 1, 0  # no label at all is legal
    _in_batches(scores, logits, given, torch.zeros(30))
    found = _values(scores.compute())
    guesses = logits.sigmoid() > 0.5
    expected = {"loss": 0.0, "subset_accuracy": sklearn.accuracy_score(given, guesses)}
    for name, metric in (
        ("f1", sklearn.f1_score),
        ("precision", sklearn.precision_score),
        ("recall", sklearn.recall_score),
    ):
        for average in ("micro", "macro"):
            expected[f"{average}_{name}"] = metric(given, guesses, average=average, zero_division=0)
    expected["auroc"] = sklearn.roc_auc_score(given, logits.sigmoid(), average="macro")
    assert found == pytest.approx(expected, abs=1e-6)


def test_a_label_on_no_row_leaves_auroc_without_a_value() -> None:
    scores = MultilabelScores(3)
    given = torch.tensor([[1.0, 0, 1], [0, 0, 1]])
    scores.update(_drawn(0, 2, 3), given, torch.zeros(2))
    found = scores.compute()
    assert (found["auroc"].value, found["auroc"].n) == (None, 2)
    assert "2 of 3" in found["auroc"].status
    assert found["macro_f1"].value is not None


def test_regression_is_that_of_scipy_and_keeps_targets_apart() -> None:
    scores = RegressionScores(("valence", "arousal"))
    scores.update(_drawn(5, 9, 2), _drawn(6, 9, 2), torch.zeros(9))
    scores.compute()
    targets = _drawn(0, 50, 2) * torch.tensor([0.01, 1000.0]) + 5
    outputs = (targets + _drawn(1, 50, 2) * torch.tensor([0.02, 500.0])).round(decimals=2)  # ties
    _in_batches(scores, outputs, targets, torch.ones(50))
    found = _values(scores.compute())
    for place, name in enumerate(("valence", "arousal")):
        one, other = outputs[:, place].double().numpy(), targets[:, place].double().numpy()
        assert found[f"mse_{name}"] == pytest.approx(((one - other) ** 2).mean(), rel=1e-5)
        assert found[f"mae_{name}"] == pytest.approx(abs(one - other).mean(), rel=1e-5)
        assert found[f"pearson_{name}"] == pytest.approx(stats.pearsonr(one, other).statistic, abs=1e-5)
        assert found[f"spearman_{name}"] == pytest.approx(stats.spearmanr(one, other).statistic, abs=1e-5)
    for metric in ("mse", "mae", "pearson", "spearman"):
        both = [found[f"{metric}_valence"], found[f"{metric}_arousal"]]
        assert found[metric] == pytest.approx(sum(both) / 2)
    assert found["loss"] == 1.0


def test_one_target_has_one_name_and_no_correlation_with_what_never_changes() -> None:
    scores = RegressionScores(("score",))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores.update(torch.full((4, 1), 2.5), torch.tensor([[1.0], [2], [3], [4]]), torch.zeros(4))
        found = scores.compute()
    assert set(found) == {"loss", "mse", "mae", "pearson", "spearman"}
    assert found["mae"].value == 1.0
    assert (found["spearman"].value, found["spearman"].n) == (None, 4)
    assert "outputs" in found["spearman"].status


def test_predictions_of_numbers_are_on_their_own_scale() -> None:
    task = task_named("regression")
    config = config_for("full", "bert", "model.dropout=0.0")
    module = module_for(config, task_for_model(config, task), steps=1).eval()
    batch = batch_for(task)
    with torch.no_grad():
        rows = module.evaluate(batch, module.test_scores)
        outputs = module.method.forward(module.model, {key: batch[key] for key in ("input_ids", "attention_mask")})
    scales, means = torch.tensor(task.target_scales), torch.tensor(task.target_means)
    torch.testing.assert_close(torch.tensor([row["prediction"] for row in rows]), outputs * scales + means)
    torch.testing.assert_close(torch.tensor([row["label"] for row in rows]), batch["labels"] * scales + means)
    found = module.test_scores.compute()
    assert found["loss"].value == pytest.approx(float(F.mse_loss(outputs, batch["labels"])), rel=1e-5)
    assert found["mae_arousal"].value == pytest.approx(
        float((outputs - batch["labels"])[:, 1].abs().mean()) * 10, rel=1e-4
    )
    assert math.isfinite(module.loss(batch).item())


def test_predictions_of_labels_are_lists_of_names() -> None:
    task = task_named("multilabel")
    config = config_for("full", "bert", "model.dropout=0.0")
    module = module_for(config, task_for_model(config, task), steps=1).eval()
    assert module.model.config.problem_type == "multi_label_classification"
    batch = batch_for(task)
    with torch.no_grad():
        rows = module.evaluate(batch, module.test_scores)
        torch.testing.assert_close(
            module.loss(batch),
            module.model(**{key: batch[key] for key in ("input_ids", "attention_mask", "labels")}).loss,
        )
    for row, given in zip(rows, batch["labels"], strict=True):
        assert row["label"] == [name for name, there in zip(task.labels, given, strict=True) if there]
        assert row["prediction"] == [name for name, p in zip(task.labels, row["scores"], strict=True) if p > 0.5]
