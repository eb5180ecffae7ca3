"""Language modelling: instructions (loss on the response alone), plain text (on every token), masked tokens."""

import math
from typing import Any

import torch
from torch.nn import functional as F
from torchmetrics import MeanMetric

from ftlab.data.collate import IGNORED, inputs_of
from ftlab.record import Metric
from ftlab.tasks.base import Batch, Scores, measured
from ftlab.tasks.labelled import LabelledTokens, losses_and_hits, mean_loss, output_layer, read_at


class LanguageModelScores(Scores):
    """Loss, perplexity and accuracy per labelled token; of running text, bits per byte."""

    def __init__(self, *, of_bytes: bool = False) -> None:
        """Start empty; `of_bytes`: whether the loss is measured per byte of the text too."""
        super().__init__()
        self.loss = MeanMetric(nan_strategy="disable")
        self.hits = MeanMetric(nan_strategy="disable")
        self.of_bytes = of_bytes
        self.bytes: torch.Tensor
        self.register_buffer("bytes", torch.zeros((), dtype=torch.int64), persistent=False)

    def update(self, losses: torch.Tensor, hits: torch.Tensor, text_bytes: torch.Tensor | None = None) -> None:
        """Count tokens in.

        Args:
            losses: (labelled tokens,).
            hits: whether the most likely token was right, (labelled tokens,).
            text_bytes: of each example, UTF-8 bytes behind its labelled tokens; None: not known.
        """
        self.loss.update(losses)
        self.hits.update(hits)
        if text_bytes is not None:
            self.bytes += text_bytes.sum()

    def summarise(self) -> dict[str, Metric]:
        """See `Scores`."""
        n = int(self.loss.weight.item())
        loss, accuracy = float(self.loss.compute()), float(self.hits.compute())
        found = {
            "loss": measured(loss, n),
            "perplexity": _perplexity(loss, n),
            "token_accuracy": measured(accuracy, n),
        }
        if self.of_bytes:
            found["bits_per_byte"] = _bits_per_byte(loss * n, int(self.bytes))
        self.bytes.zero_()
        self.loss.reset()
        self.hits.reset()
        return found


class LanguageModel(LabelledTokens[LanguageModelScores]):
    """Cross entropy at the labelled positions; loss, perplexity and token accuracy."""

    def new_scores(self) -> LanguageModelScores:
        """See `TaskModule`."""
        return LanguageModelScores(of_bytes=any(column.metric == "bits_per_byte" for column in self.task.columns))

    def loss(self, batch: Batch) -> torch.Tensor:
        """Return the mean loss over the labelled tokens of the batch."""
        labelled = self.labelled(batch)
        targets = self.targets(batch)[labelled]
        if self.logits == "chunks":
            return mean_loss(output_layer(self.model), self._read(batch, labelled), targets)
        return F.cross_entropy(self._logits(batch, labelled), targets)

    def evaluate(self, batch: Batch, scores: LanguageModelScores) -> list[dict[str, Any]]:
        """Score each example by the mean loss of its labelled tokens."""
        labelled = self.labelled(batch)
        targets = self.targets(batch)[labelled]
        if self.logits == "chunks":
            losses, hits = losses_and_hits(output_layer(self.model), self._read(batch, labelled), targets)
        else:
            logits = self._logits(batch, labelled)
            losses = F.cross_entropy(logits, targets, reduction="none")
            hits = (logits.argmax(-1) == targets).float()
        owners, _ = labelled
        scores.update(losses, hits, batch.get("text_bytes"))
        examples = len(batch["index"])
        tokens = torch.bincount(owners, minlength=examples)
        sums = torch.zeros(examples, device=losses.device).index_add_(0, owners, losses)
        right = torch.zeros(examples, device=losses.device).index_add_(0, owners, hits)
        return [
            {"index": index, "loss": total / max(count, 1), "tokens": count, "token_accuracy": hit / max(count, 1)}
            for index, total, count, hit in zip(
                batch["index"].tolist(), sums.tolist(), tokens.tolist(), right.tolist(), strict=True
            )
        ]

    def _logits(self, batch: Batch, labelled: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Return the logits of the labelled tokens, (labelled tokens, vocabulary)."""
        if self.logits == "all":
            return self.method.forward(self.model, inputs_of(batch))[labelled].float()
        with read_at(self.model, labelled, batch["labels"].shape[1], score=True):
            return self.method.forward(self.model, inputs_of(batch)).float()

    def _read(self, batch: Batch, labelled: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Return what the output layer reads of the labelled tokens, (labelled tokens, size)."""
        with read_at(self.model, labelled, batch["labels"].shape[1], score=False) as read:
            self.method.forward(self.model, inputs_of(batch))
        (hidden,) = read
        return hidden


class CausalLM(LanguageModel):
    """A decoder: each position predicts the next token."""

    def targets(self, batch: Batch) -> torch.Tensor:
        """See `LabelledTokens`."""
        return F.pad(batch["labels"][:, 1:], (0, 1), value=IGNORED)  # shifted here and nowhere else


class Seq2Seq(LanguageModel):
    """An encoder-decoder: the decoder's inputs are the labels, shifted by the collate."""

    def targets(self, batch: Batch) -> torch.Tensor:
        """See `LabelledTokens`."""
        return batch["labels"]


class MaskedLM(LanguageModel):
    """An encoder: each masked position predicts the token that stood there (Devlin et al., 2019)."""

    def targets(self, batch: Batch) -> torch.Tensor:
        """See `LabelledTokens`."""
        return batch["labels"]


def _perplexity(loss: float, n: int) -> Metric:
    try:
        return measured(math.exp(loss), n)
    except OverflowError:
        return Metric(value=None, n=n, status="overflow")


def _bits_per_byte(nats: float, text_bytes: int) -> Metric:
    """Return the whole loss in bits, that of end-of-text tokens included, per byte of the text."""
    if not text_bytes:
        return Metric(value=None, n=0, status="the tokenizer does not tell which text is behind a token")
    return measured(nats / math.log(2) / text_bytes, text_bytes)
