"""Sequence classification: one label per example."""

from typing import Any

import torch
from torch.nn import functional as F
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassAUROC,
    MulticlassF1Score,
    MulticlassMatthewsCorrCoef,
    MulticlassPrecision,
    MulticlassRecall,
)

from ftlab.core.batch import Batch, model_inputs
from ftlab.record import Metric
from ftlab.tasks import reference_loss, sequence_losses
from ftlab.tasks.base import Scores, TaskModule, finite_metrics
from ftlab.tasks.calibration import CalibrationError

NO_SYNC: dict[str, Any] = {"sync_on_compute": False}  # every rank evaluates every row, so there is nothing to reduce


class ClassificationScores(Scores):
    """Loss, metrics of the predicted classes, and metrics of the predicted probabilities.

    Macro averages are over the classes that occur in labels or predictions, as in scikit-learn. `auroc` is the mean of
    one-vs-rest over the classes, without a value if a class has no row. `calibration_error` is the expected calibration
    error over 15 equal bins (Guo et al., 2017); `brier` the squared distance of the probabilities from the label,
    summed over the classes (Brier, 1950): 0 at best, 2 at worst.
    """

    def __init__(self, classes: int) -> None:
        """Create the metrics for this number of classes."""
        super().__init__()
        self.loss = MeanMetric(nan_strategy="disable", **NO_SYNC)
        self.rates = MetricCollection(
            {
                "accuracy": MulticlassAccuracy(classes, average="micro", **NO_SYNC),
                "macro_f1": MulticlassF1Score(classes, average="macro", **NO_SYNC),
                "micro_f1": MulticlassF1Score(classes, average="micro", **NO_SYNC),
                "macro_precision": MulticlassPrecision(classes, average="macro", **NO_SYNC),
                "macro_recall": MulticlassRecall(classes, average="macro", **NO_SYNC),
                "mcc": MulticlassMatthewsCorrCoef(classes, **NO_SYNC),
            }
        )
        self.calibration_error = CalibrationError(**NO_SYNC)
        self.brier = MeanMetric(nan_strategy="disable", **NO_SYNC)
        self.auroc = MulticlassAUROC(classes, average="macro", thresholds=None, **NO_SYNC)
        self.label_counts: torch.Tensor
        self.register_buffer("label_counts", torch.zeros(classes, dtype=torch.long), persistent=False)
        self.prediction_counts: torch.Tensor
        self.register_buffer("prediction_counts", torch.zeros(classes, dtype=torch.long), persistent=False)

    def update(self, logits: torch.Tensor, labels: torch.Tensor, losses: torch.Tensor) -> None:
        """Add examples: logits (examples, classes), labels and losses (examples,)."""
        probabilities = logits.softmax(-1)
        self.rates.update(logits, labels)
        self.calibration_error.update(probabilities, labels)
        self.brier.update((probabilities - F.one_hot(labels, probabilities.shape[-1])).square().sum(-1))
        self.auroc.update(probabilities, labels)
        self.label_counts.index_add_(0, labels, torch.ones_like(labels))
        self.prediction_counts.index_add_(0, logits.argmax(-1), torch.ones_like(labels))
        self.loss.update(losses)

    def compute(self) -> dict[str, Metric]:
        """See `Scores`."""
        n, absent = int(self.loss.weight.item()), int((self.label_counts == 0).sum())
        values = {"loss": self.loss.compute(), **self.rates.compute()}
        if 1 in (int((self.label_counts > 0).sum()), int((self.prediction_counts > 0).sum())):
            values["mcc"] = torch.zeros(())  # 0 / 0: 0 in scikit-learn, another number in torchmetrics
        values |= {"calibration_error": self.calibration_error.compute(), "brier": self.brier.compute()}
        metrics = {name: finite_metrics(float(value), n) for name, value in values.items()}
        if absent:
            status = f"no row of {absent} of {len(self.label_counts)} classes"
            metrics["auroc"] = Metric(value=None, n=n, status=status)
        else:
            metrics["auroc"] = finite_metrics(float(self.auroc.compute()), n)
        for metric in (self.loss, self.rates, self.calibration_error, self.brier, self.auroc):
            metric.reset()
        self.label_counts.zero_()
        self.prediction_counts.zero_()
        return metrics


class Classification(TaskModule[ClassificationScores]):
    """Sequence classification with cross entropy or the configured training loss; see `ClassificationScores`.

    The validation and test loss is always plain cross entropy.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """See `TaskModule`."""
        super().__init__(*args, **kwargs)
        self.weights: torch.Tensor | None
        self.register_buffer("weights", sequence_losses.class_weights(self.task), persistent=False)
        self._head_layers = sequence_losses.head_layers(self.model, self.task) if self.task.loss.contrastive else []

    def new_scores(self) -> ClassificationScores:
        """See `TaskModule`."""
        return ClassificationScores(len(self.task.labels))

    def reference_loss(self) -> float | None:
        """See `TaskModule`: the entropy of the classes."""
        return reference_loss.class_entropy(self.task)

    def loss(self, batch: Batch) -> torch.Tensor:
        """Return the mean training loss over the examples."""
        config = self.task.loss
        with sequence_losses.capture_head_inputs(self._head_layers, batch["attention_mask"]) as captured:
            loss = sequence_losses.single_label_loss(self._logits(batch), batch["labels"], config, self.weights)
        if not config.contrastive:
            return loss
        (features,) = captured
        return loss + config.contrastive * sequence_losses.supervised_contrastive(
            features, batch["labels"], config.temperature
        )

    def evaluate(self, batch: Batch, scores: ClassificationScores) -> list[dict[str, Any]]:
        """Score each example."""
        logits, labels = self._logits(batch), batch["labels"]
        losses = F.cross_entropy(logits, labels, reduction="none")
        scores.update(logits, labels, losses)
        names = self.task.labels
        return [
            {
                "index": index,
                "label": names[label],
                "prediction": names[top],
                "scores": probabilities,
                "loss": loss,
            }
            for index, label, top, probabilities, loss in zip(
                batch["index"].tolist(),
                labels.tolist(),
                logits.argmax(-1).tolist(),
                logits.softmax(-1).tolist(),
                losses.tolist(),
                strict=True,
            )
        ]

    def _logits(self, batch: Batch) -> torch.Tensor:
        return self.method.forward(self.model, model_inputs(batch)).float()
