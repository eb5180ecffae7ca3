"""Sequence classification: one label per example."""

from typing import Any

import torch
from torch.nn import functional as F
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

from ftlab.data.collate import inputs_of
from ftlab.record import Metric
from ftlab.tasks.base import Batch, Scores, TaskModule, measured


class ClassificationScores(Scores):
    """Mean loss, accuracy and macro-F1."""

    def __init__(self, classes: int) -> None:
        """Take the number of classes."""
        super().__init__()
        self.loss = MeanMetric(nan_strategy="disable")
        self.rates = MetricCollection(
            {
                "accuracy": MulticlassAccuracy(classes, average="micro"),
                "macro_f1": MulticlassF1Score(classes, average="macro"),
            }
        )

    def update(self, logits: torch.Tensor, labels: torch.Tensor, losses: torch.Tensor) -> None:
        """Count examples in: logits (examples, classes), labels and losses (examples,)."""
        self.rates.update(logits, labels)
        self.loss.update(losses)

    def summarise(self) -> dict[str, Metric]:
        """See `Scores`."""
        n = int(self.loss.weight.item())
        values = {"loss": self.loss.compute(), **self.rates.compute()}
        self.loss.reset()
        self.rates.reset()
        return {name: measured(float(value), n) for name, value in values.items()}


class Classification(TaskModule[ClassificationScores]):
    """Cross entropy over the classes; accuracy and macro-F1."""

    def new_scores(self) -> ClassificationScores:
        """See `TaskModule`."""
        return ClassificationScores(len(self.task.labels))

    def loss(self, batch: Batch) -> torch.Tensor:
        """Return the mean cross entropy over the examples."""
        return F.cross_entropy(self._logits(batch), batch["labels"])

    def evaluate(self, batch: Batch, scores: ClassificationScores) -> list[dict[str, Any]]:
        """Score each example."""
        logits, labels = self._logits(batch), batch["labels"]
        losses = F.cross_entropy(logits, labels, reduction="none")
        scores.update(logits, labels, losses)
        names = self.task.labels
        return [
            {"index": index, "label": names[label], "prediction": names[guess], "scores": probabilities, "loss": loss}
            for index, label, guess, probabilities, loss in zip(
                batch["index"].tolist(),
                labels.tolist(),
                logits.argmax(-1).tolist(),
                logits.softmax(-1).tolist(),
                losses.tolist(),
                strict=True,
            )
        ]

    def _logits(self, batch: Batch) -> torch.Tensor:
        return self.method.forward(self.model, inputs_of(batch)).float()
