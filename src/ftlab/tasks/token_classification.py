"""Token classification: one label for each word of a sentence."""

from collections import Counter
from typing import Any

import torch
from seqeval import metrics as entities
from torch.nn import functional as F
from torchmetrics import MeanMetric

from ftlab.data.collate import IGNORED, inputs_of
from ftlab.data.tags import OUTSIDE, mark_entities
from ftlab.record import Metric
from ftlab.tasks.base import Batch, Scores, measured
from ftlab.tasks.labelled import LabelledTokens

_NOTHING = ""  # what a model that does not see a word says of it, where there is no O

Tags = list[str]


class TokenScores(Scores):
    """Mean loss of the words that the model sees, and accuracy over all words, seen or not.

    Precision, recall and F1 are those of entities, as seqeval has them (Nakayama, 2018): the right words and the right
    type, micro-averaged. Tags that mark no entities have a macro-F1 over tags in their place.
    """

    def __init__(self, labels: tuple[str, ...]) -> None:
        """Take the class names."""
        super().__init__()
        self.loss = MeanMetric(nan_strategy="disable")
        self.entities = mark_entities(labels)
        self.true: list[Tags] = []
        self.predicted: list[Tags] = []

    def update(self, true: list[Tags], predicted: list[Tags], losses: torch.Tensor) -> None:
        """Count sentences in: their tags and those predicted, and the loss of each word that was seen, (words,)."""
        self.true += true
        self.predicted += predicted
        if len(losses):
            self.loss.update(losses)

    def summarise(self) -> dict[str, Metric]:
        """See `Scores`."""
        true, predicted = self.true, self.predicted
        seen = int(self.loss.weight.item())
        found = {"loss": measured(float(self.loss.compute()), seen) if seen else _undefined("no word was seen")}
        self.loss.reset()
        self.true, self.predicted = [], []
        flat, guessed = [tag for row in true for tag in row], [tag for row in predicted for tag in row]
        right = Counter(tag for tag, guess in zip(flat, guessed, strict=True) if tag == guess)
        found["token_accuracy"] = measured(right.total() / len(flat), len(flat))
        if not self.entities:
            both = Counter(flat) + Counter(guessed)
            del both[_NOTHING]
            macro = sum(2 * right[tag] / count for tag, count in both.items()) / len(both)
            return {**found, "macro_f1": measured(macro, len(flat))}
        there, claimed = (len(entities.sequence_labeling.get_entities(rows)) for rows in (true, predicted))
        if not there and not claimed:
            return {**found, **dict.fromkeys(("f1", "precision", "recall"), _undefined("no entities"))}
        counts = {"f1": there, "precision": claimed, "recall": there}
        scores = {name: getattr(entities, f"{name}_score")(true, predicted, zero_division=0) for name in counts}
        return {**found, **{name: measured(float(score), counts[name]) for name, score in scores.items()}}


class TokenClassification(LabelledTokens[TokenScores]):
    """Cross entropy over the first sub-token of each word; entity F1, or accuracy and macro-F1 of single tags."""

    def new_scores(self) -> TokenScores:
        """See `TaskModule`."""
        return TokenScores(self.task.labels)

    def targets(self, batch: Batch) -> torch.Tensor:
        """See `LabelledTokens`."""
        return batch["labels"]

    def loss(self, batch: Batch) -> torch.Tensor:
        """Return the mean loss over the labelled tokens of the batch."""
        labelled = self.labelled(batch)
        losses = self._losses(self._logits(batch)[labelled], batch["labels"][labelled])
        return losses.sum() / max(1, len(losses))  # not the mean, which is none where the model sees no word of a batch

    def evaluate(self, batch: Batch, scores: TokenScores) -> list[dict[str, Any]]:
        """Tag each sentence. What the model does not see of it is predicted O."""
        logits, labels = self._logits(batch), batch["labels"]
        losses = torch.zeros(labels.shape, device=logits.device)
        labelled = self.labelled(batch)
        losses[labelled] = self._losses(logits[labelled], labels[labelled])
        names = self.task.labels
        true = [[names[tag] for tag in row if tag != IGNORED] for row in batch["tags"].tolist()]
        predicted = [words[: len(row)] for words, row in zip(tagged(logits, batch["places"], names), true, strict=True)]
        scores.update(true, predicted, losses[labelled])
        means = (losses.sum(1) / (labels != IGNORED).sum(1).clamp(min=1)).tolist()
        return [
            {"index": index, "label": label, "prediction": guess, "loss": loss}
            for index, label, guess, loss in zip(batch["index"].tolist(), true, predicted, means, strict=True)
        ]

    def _losses(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the loss of each labelled token: logits (tokens, classes), labels (tokens,)."""
        return F.cross_entropy(logits, labels, reduction="none")

    def _logits(self, batch: Batch) -> torch.Tensor:
        return self.method.forward(self.model, inputs_of(batch)).float()


def tagged(logits: torch.Tensor, places: torch.Tensor, labels: tuple[str, ...]) -> list[Tags]:
    """Return the most likely tag of each word, O (or nothing, where there is no O) of those that are not seen.

    Args:
        logits: (examples, tokens, classes).
        places: (examples, words), the token at which each word begins; -1: none.
        labels: class names.
    """
    unseen = OUTSIDE if OUTSIDE in labels else _NOTHING
    best = logits.argmax(-1).gather(1, places.clamp(min=0)).tolist()
    return [
        [labels[guess] if place >= 0 else unseen for guess, place in zip(guesses, row, strict=True)]
        for guesses, row in zip(best, places.tolist(), strict=True)
    ]


def _undefined(status: str) -> Metric:
    return Metric(value=None, n=0, status=status)
