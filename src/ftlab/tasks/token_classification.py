"""Token classification: one label per word."""

from collections import Counter
from typing import Any

import torch
from seqeval import metrics as entities
from torch.nn import functional as F
from torchmetrics import MeanMetric

from ftlab.core.batch import IGNORE_INDEX, Batch, model_inputs
from ftlab.data.rows.tags import OUTSIDE, has_entity_tags
from ftlab.record import Metric
from ftlab.tasks import reference_loss
from ftlab.tasks.base import Scores, finite_metrics
from ftlab.tasks.token_losses import TokenTask

_NO_TAG = ""  # prediction for a word that was truncated, if there is no tag O

Tags = list[str]


class TokenScores(Scores):
    """Mean loss of the words that the model sees, and accuracy over all words, also truncated ones.

    Precision, recall and F1 are entity-level and micro-averaged, as in seqeval (Nakayama, 2018): an entity counts if
    its words and its type are correct. Tags that mark no entities (such as parts of speech) have a macro-F1 instead.
    """

    def __init__(self, labels: tuple[str, ...]) -> None:
        """Create the metrics for these class names."""
        super().__init__()
        self.loss = MeanMetric(nan_strategy="disable")
        self.entities = has_entity_tags(labels)
        self.true: list[Tags] = []
        self.predicted: list[Tags] = []

    def update(self, true: list[Tags], predicted: list[Tags], losses: torch.Tensor) -> None:
        """Add sentences: their tags, the predicted tags, and the loss of each word that the model sees, (words,)."""
        self.true += true
        self.predicted += predicted
        if len(losses):
            self.loss.update(losses)

    def compute(self) -> dict[str, Metric]:
        """See `Scores`."""
        true, predicted = self.true, self.predicted
        seen = int(self.loss.weight.item())
        metrics = {"loss": finite_metrics(float(self.loss.compute()), seen) if seen else _undefined("no word was seen")}
        self.loss.reset()
        self.true, self.predicted = [], []
        flat_true, flat_predicted = [tag for row in true for tag in row], [tag for row in predicted for tag in row]
        correct = Counter(tag for tag, guess in zip(flat_true, flat_predicted, strict=True) if tag == guess)
        metrics["token_accuracy"] = finite_metrics(correct.total() / len(flat_true), len(flat_true))
        if not self.entities:
            occurrences = Counter(flat_true) + Counter(flat_predicted)
            del occurrences[_NO_TAG]
            macro = sum(2 * correct[tag] / count for tag, count in occurrences.items()) / len(occurrences)
            return {**metrics, "macro_f1": finite_metrics(macro, len(flat_true))}
        true_count, predicted_count = (len(entities.sequence_labeling.get_entities(rows)) for rows in (true, predicted))
        if not true_count and not predicted_count:
            return {**metrics, **dict.fromkeys(("f1", "precision", "recall"), _undefined("no entities"))}
        counts = {"f1": true_count, "precision": predicted_count, "recall": true_count}
        scores = {name: getattr(entities, f"{name}_score")(true, predicted, zero_division=0) for name in counts}
        return {**metrics, **{name: finite_metrics(float(score), counts[name]) for name, score in scores.items()}}


class TokenClassification(TokenTask[TokenScores]):
    """Cross entropy of the first sub-token of each word; see `TokenScores`."""

    def new_scores(self) -> TokenScores:
        """See `TaskModule`."""
        return TokenScores(self.task.labels)

    def reference_loss(self) -> float | None:
        """See `TaskModule`: the entropy of the tags."""
        return reference_loss.class_entropy(self.task)

    def targets(self, batch: Batch) -> torch.Tensor:
        """See `TokenTask`."""
        return batch["labels"]

    def loss(self, batch: Batch) -> torch.Tensor:
        """Return the mean loss over the labelled tokens of the batch."""
        positions = self.loss_positions(batch)
        losses = self._losses(self._logits(batch)[positions], batch["labels"][positions])
        return losses.sum() / max(1, len(losses))  # `mean` would be NaN if the model sees no word of a batch

    def evaluate(self, batch: Batch, scores: TokenScores) -> list[dict[str, Any]]:
        """Predict the tags of each sentence; truncated words are predicted O."""
        logits, labels = self._logits(batch), batch["labels"]
        losses = torch.zeros(labels.shape, device=logits.device)
        positions = self.loss_positions(batch)
        losses[positions] = self._losses(logits[positions], labels[positions])
        names = self.task.labels
        true = [[names[tag] for tag in row if tag != IGNORE_INDEX] for row in batch["tags"].tolist()]
        padded = predicted_tags(logits, batch["places"], names)
        predicted = [tags[: len(row)] for tags, row in zip(padded, true, strict=True)]
        scores.update(true, predicted, losses[positions])
        means = (losses.sum(1) / (labels != IGNORE_INDEX).sum(1).clamp(min=1)).tolist()
        return [
            {"index": index, "label": label, "prediction": guess, "loss": loss}
            for index, label, guess, loss in zip(batch["index"].tolist(), true, predicted, means, strict=True)
        ]

    def _losses(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the loss of each labelled token: logits (tokens, classes), labels (tokens,)."""
        return F.cross_entropy(logits, labels, reduction="none")

    def _logits(self, batch: Batch) -> torch.Tensor:
        return self.method.forward(self.model, model_inputs(batch)).float()


def predicted_tags(logits: torch.Tensor, first_tokens: torch.Tensor, labels: tuple[str, ...]) -> list[Tags]:
    """Return the most likely tag of each word; O, or an empty string if there is no O, for truncated words.

    Args:
        logits: (examples, tokens, classes).
        first_tokens: (examples, words), position of each word's first token; -1: truncated.
        labels: class names.
    """
    unseen = OUTSIDE if OUTSIDE in labels else _NO_TAG
    best = logits.argmax(-1).gather(1, first_tokens.clamp(min=0)).tolist()
    return [
        [labels[label_id] if position >= 0 else unseen for label_id, position in zip(label_ids, positions, strict=True)]
        for label_ids, positions in zip(best, first_tokens.tolist(), strict=True)
    ]


def _undefined(status: str) -> Metric:
    return Metric(value=None, n=0, status=status)
