"""Multi-label classification: any number of labels per example, each a question of its own."""

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

from ftlab.data.collate import inputs_of
from ftlab.record import Metric
from ftlab.tasks import losses
from ftlab.tasks.base import Batch, Scores, TaskModule, measured
from ftlab.tasks.classification import ALONE

THRESHOLD = 0.5  # an example has the labels whose probability is above


class MultilabelScores(Scores):
    """Loss, F1, precision and recall over all decisions (micro) and as the mean over labels (macro), and more.

    `subset_accuracy` is the share of examples with every label right. A label that neither rows nor guesses have counts
    as 0 in macro averages, as in scikit-learn. `auroc` is the mean over the labels, and has no value where a label has
    no row, or no row is without it.
    """

    def __init__(self, labels: int) -> None:
        """Take the number of labels."""
        super().__init__()
        self.loss = MeanMetric(nan_strategy="disable", **ALONE)
        kinds = {"f1": MultilabelF1Score, "precision": MultilabelPrecision, "recall": MultilabelRecall}
        self.rates = MetricCollection(
            {
                "subset_accuracy": MultilabelExactMatch(labels, threshold=THRESHOLD, **ALONE),
                **{
                    f"{average}_{name}": kind(labels, threshold=THRESHOLD, average=average, **ALONE)
                    for name, kind in kinds.items()
                    for average in ("micro", "macro")
                },
            }
        )
        self.auroc = MultilabelAUROC(labels, average="macro", thresholds=None, **ALONE)
        self.rows: torch.Tensor
        self.register_buffer("rows", torch.zeros(labels, dtype=torch.long), persistent=False)  # that have each label

    def update(self, logits: torch.Tensor, labels: torch.Tensor, losses: torch.Tensor) -> None:
        """Count examples in: logits and labels (examples, labels), losses (examples,)."""
        probabilities, given = logits.sigmoid(), labels.long()
        self.rates.update(probabilities, given)
        self.auroc.update(probabilities, given)
        self.rows += given.sum(0)
        self.loss.update(losses)

    def summarise(self) -> dict[str, Metric]:
        """See `Scores`."""
        n = int(self.loss.weight.item())
        one_sided = int(((self.rows == 0) | (self.rows == n)).sum())
        values = {"loss": self.loss.compute(), **self.rates.compute()}
        found = {name: measured(float(value), n) for name, value in values.items()}
        if one_sided:
            status = f"{one_sided} of {len(self.rows)} labels are on no row, or on all"
            found["auroc"] = Metric(value=None, n=n, status=status)
        else:
            found["auroc"] = measured(float(self.auroc.compute()), n)
        for metric in (self.loss, self.rates, self.auroc):
            metric.reset()
        self.rows.zero_()
        return found


class Multilabel(TaskModule[MultilabelScores]):
    """Binary cross entropy of each label, or what the configuration trains with; see `MultilabelScores`.

    The loss of validation and test is plain binary cross entropy, a mean over the labels, whatever was trained with.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """See `TaskModule`."""
        super().__init__(*args, **kwargs)
        self.weights: torch.Tensor | None
        self.register_buffer("weights", losses.class_weights(self.task), persistent=False)

    def new_scores(self) -> MultilabelScores:
        """See `TaskModule`."""
        return MultilabelScores(len(self.task.labels))

    def loss(self, batch: Batch) -> torch.Tensor:
        """Return the mean training loss over examples and labels."""
        return losses.multi_label(self._logits(batch), batch["labels"], self.task.loss, self.weights)

    def evaluate(self, batch: Batch, scores: MultilabelScores) -> list[dict[str, Any]]:
        """Score each example; `label` and `prediction` are lists of names."""
        logits, labels = self._logits(batch), batch["labels"]
        of_each = F.binary_cross_entropy_with_logits(logits, labels, reduction="none").mean(-1)
        scores.update(logits, labels, of_each)
        return [
            {
                "index": index,
                "label": chosen(given, self.task.labels),
                "prediction": chosen(probabilities, self.task.labels),
                "scores": probabilities,
                "loss": loss,
            }
            for index, given, probabilities, loss in zip(
                batch["index"].tolist(), labels.tolist(), logits.sigmoid().tolist(), of_each.tolist(), strict=True
            )
        ]

    def _logits(self, batch: Batch) -> torch.Tensor:
        return self.method.forward(self.model, inputs_of(batch)).float()


def chosen(probabilities: list[float], labels: tuple[str, ...]) -> list[str]:
    """Return the names of the labels that are above the threshold."""
    return [name for name, probability in zip(labels, probabilities, strict=True) if probability > THRESHOLD]
