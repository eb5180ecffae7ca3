"""Sequence classification: one label per example."""

from typing import Any

import torch
from torch.nn import functional as F
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassAUROC,
    MulticlassCalibrationError,
    MulticlassF1Score,
    MulticlassMatthewsCorrCoef,
    MulticlassPrecision,
    MulticlassRecall,
)

from ftlab.data.collate import inputs_of
from ftlab.record import Metric
from ftlab.tasks import losses
from ftlab.tasks.base import Batch, Scores, TaskModule, measured

ALONE: dict[str, Any] = {"sync_on_compute": False}  # every rank evaluates every row: there is nothing to bring together


class ClassificationScores(Scores):
    """Loss, what is counted of the guesses, and what is measured of the probabilities.

    Macro averages are over the classes that the rows or the guesses have, as in scikit-learn. `auroc` is the mean over
    the classes of one against the rest, and has no value where a class has no row. `calibration_error` is the expected
    one, over 15 equal bins (Guo et al., 2017); `brier` the squared distance of the probabilities from the truth, summed
    over the classes (Brier, 1950): 0 at best, 2 at worst.
    """

    def __init__(self, classes: int) -> None:
        """Take the number of classes."""
        super().__init__()
        self.loss = MeanMetric(nan_strategy="disable", **ALONE)
        self.rates = MetricCollection(
            {
                "accuracy": MulticlassAccuracy(classes, average="micro", **ALONE),
                "macro_f1": MulticlassF1Score(classes, average="macro", **ALONE),
                "micro_f1": MulticlassF1Score(classes, average="micro", **ALONE),
                "macro_precision": MulticlassPrecision(classes, average="macro", **ALONE),
                "macro_recall": MulticlassRecall(classes, average="macro", **ALONE),
                "mcc": MulticlassMatthewsCorrCoef(classes, **ALONE),
            }
        )
        self.calibration_error = MulticlassCalibrationError(classes, n_bins=15, norm="l1", **ALONE)
        self.brier = MeanMetric(nan_strategy="disable", **ALONE)
        self.auroc = MulticlassAUROC(classes, average="macro", thresholds=None, **ALONE)
        self.rows: torch.Tensor
        self.register_buffer("rows", torch.zeros(classes, dtype=torch.long), persistent=False)  # of each class
        self.guesses: torch.Tensor
        self.register_buffer("guesses", torch.zeros(classes, dtype=torch.long), persistent=False)

    def update(self, logits: torch.Tensor, labels: torch.Tensor, losses: torch.Tensor) -> None:
        """Count examples in: logits (examples, classes), labels and losses (examples,)."""
        probabilities = logits.softmax(-1)
        self.rates.update(logits, labels)
        self.calibration_error.update(probabilities, labels)
        self.brier.update((probabilities - F.one_hot(labels, probabilities.shape[-1])).square().sum(-1))
        self.auroc.update(probabilities, labels)
        self.rows.index_add_(0, labels, torch.ones_like(labels))
        self.guesses.index_add_(0, logits.argmax(-1), torch.ones_like(labels))
        self.loss.update(losses)

    def summarise(self) -> dict[str, Metric]:
        """See `Scores`."""
        n, absent = int(self.loss.weight.item()), int((self.rows == 0).sum())
        values = {"loss": self.loss.compute(), **self.rates.compute()}
        if 1 in (int((self.rows > 0).sum()), int((self.guesses > 0).sum())):
            values["mcc"] = torch.zeros(())  # 0 / 0: 0 in scikit-learn, another number in torchmetrics
        values |= {"calibration_error": self.calibration_error.compute(), "brier": self.brier.compute()}
        found = {name: measured(float(value), n) for name, value in values.items()}
        if absent:
            found["auroc"] = Metric(value=None, n=n, status=f"no row of {absent} of {len(self.rows)} classes")
        else:
            found["auroc"] = measured(float(self.auroc.compute()), n)
        for metric in (self.loss, self.rates, self.calibration_error, self.brier, self.auroc):
            metric.reset()
        self.rows.zero_()
        self.guesses.zero_()
        return found


class Classification(TaskModule[ClassificationScores]):
    """Cross entropy over the classes, or what the configuration trains with; see `ClassificationScores`.

    The loss of validation and test is plain cross entropy, whatever was trained with.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """See `TaskModule`."""
        super().__init__(*args, **kwargs)
        self.weights: torch.Tensor | None
        self.register_buffer("weights", losses.class_weights(self.task), persistent=False)
        self._read_by = losses.head_inputs(self.model, self.task) if self.task.loss.contrastive else []

    def new_scores(self) -> ClassificationScores:
        """See `TaskModule`."""
        return ClassificationScores(len(self.task.labels))

    def loss(self, batch: Batch) -> torch.Tensor:
        """Return the mean training loss over the examples."""
        config = self.task.loss
        with losses.watched(self._read_by, batch["attention_mask"]) as seen:
            loss = losses.single_label(self._logits(batch), batch["labels"], config, self.weights)
        if not config.contrastive:
            return loss
        (features,) = seen
        return loss + config.contrastive * losses.supervised_contrastive(features, batch["labels"], config.temperature)

    def evaluate(self, batch: Batch, scores: ClassificationScores) -> list[dict[str, Any]]:
        """Score each example."""
        logits, labels = self._logits(batch), batch["labels"]
        of_each = F.cross_entropy(logits, labels, reduction="none")
        scores.update(logits, labels, of_each)
        names = self.task.labels
        return [
            {"index": index, "label": names[label], "prediction": names[guess], "scores": probabilities, "loss": loss}
            for index, label, guess, probabilities, loss in zip(
                batch["index"].tolist(),
                labels.tolist(),
                logits.argmax(-1).tolist(),
                logits.softmax(-1).tolist(),
                of_each.tolist(),
                strict=True,
            )
        ]

    def _logits(self, batch: Batch) -> torch.Tensor:
        return self.method.forward(self.model, inputs_of(batch)).float()
