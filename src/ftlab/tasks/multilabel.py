"""Multi-label classification: any number of labels per example, each an independent binary decision."""

from typing import Any

import torch
from torch.nn import functional as F
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics.classification import (
    MultilabelAUROC,
    MultilabelExactMatch,
    MultilabelF1Score,
    MultilabelPrecision,
    MultilabelRecall,
)

from ftlab.core.batch import Batch, model_inputs
from ftlab.record import Metric
from ftlab.tasks import reference_loss, sequence_losses
from ftlab.tasks.base import Scores, TaskModule, finite_metrics
from ftlab.tasks.classification import NO_SYNC

THRESHOLD = 0.5  # labels with a higher probability are predicted


class MultilabelScores(Scores):
    """Loss; F1, precision and recall over all decisions (micro) and as the mean over labels (macro); and more.

    `subset_accuracy` is the share of examples whose labels are all correct. A label that occurs neither in the rows nor
    in the predictions counts as 0 in macro averages, as in scikit-learn. `auroc` is the mean over the labels, without a
    value if a label is on no row or on all rows.
    """

    def __init__(self, labels: int) -> None:
        """Create the metrics for this number of labels."""
        super().__init__()
        self.loss = MeanMetric(nan_strategy="disable", **NO_SYNC)
        metrics = {"f1": MultilabelF1Score, "precision": MultilabelPrecision, "recall": MultilabelRecall}
        self.rates = MetricCollection(
            {
                "subset_accuracy": MultilabelExactMatch(labels, threshold=THRESHOLD, **NO_SYNC),
                **{
                    f"{average}_{name}": metric(labels, threshold=THRESHOLD, average=average, **NO_SYNC)
                    for name, metric in metrics.items()
                    for average in ("micro", "macro")
                },
            }
        )
        self.auroc = MultilabelAUROC(labels, average="macro", thresholds=None, **NO_SYNC)
        self.label_counts: torch.Tensor
        self.register_buffer("label_counts", torch.zeros(labels, dtype=torch.long), persistent=False)

    def update(self, logits: torch.Tensor, labels: torch.Tensor, losses: torch.Tensor) -> None:
        """Add examples: logits and labels (examples, labels), losses (examples,)."""
        probabilities, targets = logits.sigmoid(), labels.long()
        self.rates.update(probabilities, targets)
        self.auroc.update(probabilities, targets)
        self.label_counts += targets.sum(0)
        self.loss.update(losses)

    def compute(self) -> dict[str, Metric]:
        """See `Scores`."""
        n = int(self.loss.weight.item())
        constant = int(((self.label_counts == 0) | (self.label_counts == n)).sum())
        values = {"loss": self.loss.compute(), **self.rates.compute()}
        metrics = {name: finite_metrics(float(value), n) for name, value in values.items()}
        if constant:
            status = f"{constant} of {len(self.label_counts)} labels are on no row, or on all"
            metrics["auroc"] = Metric(value=None, n=n, status=status)
        else:
            metrics["auroc"] = finite_metrics(float(self.auroc.compute()), n)
        for metric in (self.loss, self.rates, self.auroc):
            metric.reset()
        self.label_counts.zero_()
        return metrics


class Multilabel(TaskModule[MultilabelScores]):
    """Multi-label classification with binary cross entropy or the configured training loss; see `MultilabelScores`.

    The validation and test loss is always plain binary cross entropy, averaged over the labels.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """See `TaskModule`."""
        super().__init__(*args, **kwargs)
        self.weights: torch.Tensor | None
        self.register_buffer("weights", sequence_losses.class_weights(self.task), persistent=False)

    def new_scores(self) -> MultilabelScores:
        """See `TaskModule`."""
        return MultilabelScores(len(self.task.labels))

    def reference_loss(self) -> float | None:
        """See `TaskModule`: the mean entropy of the labels."""
        return reference_loss.mean_label_entropy(self.task)

    def loss(self, batch: Batch) -> torch.Tensor:
        """Return the mean training loss over examples and labels."""
        return sequence_losses.multi_label_loss(self._logits(batch), batch["labels"], self.task.loss, self.weights)

    def evaluate(self, batch: Batch, scores: MultilabelScores) -> list[dict[str, Any]]:
        """Score each example; `label` and `prediction` are lists of names."""
        logits, labels = self._logits(batch), batch["labels"]
        losses = F.binary_cross_entropy_with_logits(logits, labels, reduction="none").mean(-1)
        scores.update(logits, labels, losses)
        return [
            {
                "index": index,
                "label": predicted_labels(targets, self.task.labels),
                "prediction": predicted_labels(probabilities, self.task.labels),
                "scores": probabilities,
                "loss": loss,
            }
            for index, targets, probabilities, loss in zip(
                batch["index"].tolist(), labels.tolist(), logits.sigmoid().tolist(), losses.tolist(), strict=True
            )
        ]

    def _logits(self, batch: Batch) -> torch.Tensor:
        return self.method.forward(self.model, model_inputs(batch)).float()


def predicted_labels(probabilities: list[float], labels: tuple[str, ...]) -> list[str]:
    """Return the names of the labels whose probability is above the threshold."""
    return [name for name, probability in zip(labels, probabilities, strict=True) if probability > THRESHOLD]
