"""Base class of the previews of each task kind, and the preview of examples with a loss on tokens."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from transformers import PreTrainedTokenizerBase

from ftlab.config.task import Task
from ftlab.core.batch import IGNORE_INDEX
from ftlab.core.escapes import escape_controls
from ftlab.data.base import DataModule
from ftlab.data.encoding.example import Example
from ftlab.data.rows.row import Row
from ftlab.preview.token_spans import TokenSpan, token_spans


@dataclass(frozen=True)
class ShownExample:
    """One example as the model sees it.

    Attributes:
        where: location of its row; for running text the number of the example.
        inputs: tokens that the model reads.
        targets: tokens that an encoder-decoder writes.
        answer: expected prediction for a text: label, labels, or numbers on the targets' own scale.
        tagged_words: token classification: each word, its tag, and whether the model sees it.
    """

    where: str
    inputs: tuple[TokenSpan, ...] = ()
    targets: tuple[TokenSpan, ...] = ()
    answer: str | None = None
    tagged_words: tuple[tuple[str, str, bool], ...] = ()


@dataclass(frozen=True)
class TargetStats:
    """Statistics of one regression target over the training rows."""

    name: str
    mean: float
    deviation: float
    minimum: float
    maximum: float


class KindPreview(ABC):
    """How `ftlab data` shows the data of a task kind.

    Attributes:
        with_loss: legend for the tokens with a loss; None: no token has a loss of its own, and the expected answer is
            shown below them.
        counted: what has a label, rows or words; None: no labels are counted.
        several_labels: whether a row may have several labels, so that their shares do not add up to 1.
    """

    with_loss: ClassVar[str | None] = "tokens with a loss"
    counted: ClassVar[str | None] = None
    several_labels: ClassVar[bool] = False

    @abstractmethod
    def show(
        self, data: DataModule, tokenizer: PreTrainedTokenizerBase, example: Example, row: Row, where: str
    ) -> ShownExample:
        """Return an example of a row as it is shown.

        `where` is escaped already; escape control characters in everything else with `escape_controls`.

        Args:
            data: tokenized data.
            tokenizer: the tokenizer it was tokenized with.
            example: the example.
            row: its row.
            where: location of the row.
        """

    def labels_of(self, row: Row) -> list[str]:
        """Return the labels of a row, or of its words."""
        return []

    def target_stats(self, rows: Sequence[Row], task: Task) -> list[TargetStats]:
        """Return statistics of each regression target; empty for other kinds."""
        return []

    def sample(self, data: DataModule, tokenizer: PreTrainedTokenizerBase, count: int) -> list[ShownExample]:
        """Return `count` training rows as the model sees them, evenly spaced, since files are often sorted by label."""
        train = data.splits["train"]
        examples: list[ShownExample] = []
        for index in sorted({n * len(train) // count for n in range(count)}):
            row = train[index]
            encoded, where = data.encode(tokenizer, [row]), escape_controls(row.where)
            examples += [self.show(data, tokenizer, example, row, where) for example in encoded.examples]
            examples += [ShownExample(f"{where}: left out, {reason}") for reason, n in encoded.dropped.items() if n]
        return examples


class TokensPreview(KindPreview):
    """Tokens with and without a loss; for an encoder-decoder those that it reads, and those that it writes."""

    def show(
        self, data: DataModule, tokenizer: PreTrainedTokenizerBase, example: Example, row: Row, where: str
    ) -> ShownExample:
        """See `KindPreview`."""
        return shown_tokens(data, tokenizer, example, where)


def shown_tokens(data: DataModule, tokenizer: PreTrainedTokenizerBase, example: Example, where: str) -> ShownExample:
    """Return an example whose labels are tokens, as it is shown."""
    assert not isinstance(example.labels, int)
    ids, in_loss = example.input_ids.tolist(), example.labels != IGNORE_INDEX
    if not data.task_for_model.decoder_writes:
        return ShownExample(where, inputs=token_spans(tokenizer, ids, in_loss.tolist()))
    targets = example.labels[in_loss].tolist()
    return ShownExample(
        where,
        inputs=token_spans(tokenizer, ids, [False] * len(ids)),
        targets=token_spans(tokenizer, targets, [True] * len(targets)),
    )
