"""Language modelling: instructions (loss on the response only), running text (loss on every token), masked tokens."""

import math
from typing import Any

import torch
from torch.nn import functional as F
from torchmetrics import MeanMetric

from ftlab.core.batch import IGNORE_INDEX, Batch, model_inputs
from ftlab.models.output_layer import output_layer, select_hidden
from ftlab.record import Metric
from ftlab.tasks.base import Scores, finite_metrics
from ftlab.tasks.token_losses import TokenTask, losses_and_hits, mean_loss


class LanguageModelScores(Scores):
    """Loss, perplexity and accuracy per labelled token; for running text, bits per byte too."""

    def __init__(self, *, bits_per_byte: bool = False) -> None:
        """Create the metrics; `bits_per_byte`: whether the loss is also measured per byte of the text."""
        super().__init__()
        self.loss = MeanMetric(nan_strategy="disable")
        self.hits = MeanMetric(nan_strategy="disable")
        self.bits_per_byte = bits_per_byte
        self.bytes: torch.Tensor
        self.register_buffer("bytes", torch.zeros((), dtype=torch.int64), persistent=False)

    def update(self, losses: torch.Tensor, hits: torch.Tensor, text_bytes: torch.Tensor | None = None) -> None:
        """Add tokens.

        Args:
            losses: (labelled tokens,).
            hits: whether the most likely token is correct, (labelled tokens,).
            text_bytes: number of UTF-8 bytes that the labelled tokens of each example encode; None: unknown.
        """
        self.loss.update(losses)
        self.hits.update(hits)
        if text_bytes is not None:
            self.bytes += text_bytes.sum()

    def compute(self) -> dict[str, Metric]:
        """See `Scores`."""
        n = int(self.loss.weight.item())
        loss, accuracy = float(self.loss.compute()), float(self.hits.compute())
        metrics = {
            "loss": finite_metrics(loss, n),
            "perplexity": _perplexity(loss, n),
            "token_accuracy": finite_metrics(accuracy, n),
        }
        if self.bits_per_byte:
            metrics["bits_per_byte"] = _bits_per_byte(loss * n, int(self.bytes))
        self.bytes.zero_()
        self.loss.reset()
        self.hits.reset()
        return metrics


class LanguageModel(TokenTask[LanguageModelScores]):
    """Cross entropy at the labelled positions; loss, perplexity and token accuracy."""

    def new_scores(self) -> LanguageModelScores:
        """See `TaskModule`."""
        return LanguageModelScores(bits_per_byte=any(column.metric == "bits_per_byte" for column in self.task.columns))

    def loss(self, batch: Batch) -> torch.Tensor:
        """Return the mean loss over the labelled tokens of the batch."""
        positions = self.loss_positions(batch)
        targets = self.targets(batch)[positions]
        if self.logits == "chunks":
            return mean_loss(output_layer(self.model), self._hidden(batch, positions), targets)
        return F.cross_entropy(self._logits(batch, positions), targets)

    def evaluate(self, batch: Batch, scores: LanguageModelScores) -> list[dict[str, Any]]:
        """Return the mean loss of each example's labelled tokens."""
        positions = self.loss_positions(batch)
        targets = self.targets(batch)[positions]
        if self.logits == "chunks":
            losses, hits = losses_and_hits(output_layer(self.model), self._hidden(batch, positions), targets)
        else:
            logits = self._logits(batch, positions)
            losses = F.cross_entropy(logits, targets, reduction="none")
            hits = (logits.argmax(-1) == targets).float()
        rows, _ = positions
        scores.update(losses, hits, batch.get("text_bytes"))
        examples = len(batch["index"])
        tokens = torch.bincount(rows, minlength=examples)
        sums = torch.zeros(examples, device=losses.device).index_add_(0, rows, losses)
        correct = torch.zeros(examples, device=losses.device).index_add_(0, rows, hits)
        return [
            {"index": index, "loss": total / max(count, 1), "tokens": count, "token_accuracy": hit / max(count, 1)}
            for index, total, count, hit in zip(
                batch["index"].tolist(), sums.tolist(), tokens.tolist(), correct.tolist(), strict=True
            )
        ]

    def _logits(self, batch: Batch, positions: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Return the logits of the labelled tokens, (labelled tokens, vocabulary)."""
        if self.logits == "all":
            return self.method.forward(self.model, model_inputs(batch))[positions].float()
        with select_hidden(self.model, positions, batch["labels"].shape[1], score=True):
            return self.method.forward(self.model, model_inputs(batch)).float()

    def _hidden(self, batch: Batch, positions: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Return the output layer's inputs for the labelled tokens, (labelled tokens, size)."""
        with select_hidden(self.model, positions, batch["labels"].shape[1], score=False) as selected:
            self.method.forward(self.model, model_inputs(batch))
        (hidden,) = selected
        return hidden


class CausalLM(LanguageModel):
    """A decoder: each position predicts the next token."""

    def targets(self, batch: Batch) -> torch.Tensor:
        """See `TokenTask`."""
        return F.pad(batch["labels"][:, 1:], (0, 1), value=IGNORE_INDEX)  # the only place that shifts labels


class Seq2Seq(LanguageModel):
    """An encoder-decoder: the collate function shifts the labels to the decoder's inputs."""

    def targets(self, batch: Batch) -> torch.Tensor:
        """See `TokenTask`."""
        return batch["labels"]


class MaskedLM(LanguageModel):
    """An encoder: each masked position predicts the original token (Devlin et al., 2019)."""

    def targets(self, batch: Batch) -> torch.Tensor:
        """See `TokenTask`."""
        return batch["labels"]


def _perplexity(loss: float, n: int) -> Metric:
    try:
        return finite_metrics(math.exp(loss), n)
    except OverflowError:
        return Metric(value=None, n=n, status="overflow")


def _bits_per_byte(nats: float, text_bytes: int) -> Metric:
    """Return the total loss in bits, end-of-text tokens included, per byte of the text."""
    if not text_bytes:
        return Metric(value=None, n=0, status="the tokenizer does not tell which text is behind a token")
    return finite_metrics(nats / math.log(2) / text_bytes, text_bytes)
