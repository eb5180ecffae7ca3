"""A few training rows as the model sees them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from transformers import PreTrainedTokenizerBase

from ftlab.data.base import DataModule
from ftlab.data.collate import IGNORED, Example
from ftlab.data.labelled import parsed
from ftlab.data.masking import Masking
from ftlab.data.rows import Row
from ftlab.data.text import RunningText
from ftlab.preview.pieces import Piece, harmless, pieces
from ftlab.tasks.spec import MASKED_LM


@dataclass(frozen=True)
class Shown:
    """One example.

    Attributes:
        where: place of its row, or what it is of running text.
        read: what the model reads.
        written: what an encoder-decoder writes.
        answer: what it is to say of a text: label, labels, or numbers on their own scale.
        words: each word with its tag, and whether the model sees it; of token classification.
    """

    where: str
    read: tuple[Piece, ...] = ()
    written: tuple[Piece, ...] = ()
    answer: str | None = None
    words: tuple[tuple[str, str, bool], ...] = ()


def shown(read: DataModule, tokenizer: PreTrainedTokenizerBase, count: int) -> list[Shown]:
    """Return so many training rows, evenly spaced: files are often sorted by label.

    Args:
        read: tokenized.
        tokenizer: that it was tokenized by.
        count: rows; of running text, examples.
    """
    if isinstance(read, RunningText):
        return [_one(read, tokenizer, example, where) for where, example in _first(read, tokenizer, count)]
    train = read.splits["train"]
    found: list[Shown] = []
    for row in (train[place] for place in sorted({n * len(train) // count for n in range(count)})):
        encoded = read.encode(tokenizer, [row])
        found += [_one(read, tokenizer, example, harmless(row.where), row) for example in encoded.examples]
        found += [Shown(f"{harmless(row.where)}: left out, {reason}") for reason, n in encoded.dropped.items() if n]
    return found


def _first(read: RunningText, tokenizer: PreTrainedTokenizerBase, count: int) -> Iterator[tuple[str, Example]]:
    """Yield the first examples; masked ones as they are in validation, every time alike."""
    train, rows = read.splits["train"], 1
    examples: list[Example] = []
    while len(examples) <= count and rows < 2 * len(train):
        examples, rows = read.encode(tokenizer, train[:rows]).examples, 2 * rows
    masking = Masking.of(tokenizer) if read.task.name == MASKED_LM.name else None
    for number, example in enumerate(examples[:count]):
        yield f"example {number + 1}", masking(example, number) if masking else example


def _one(
    read: DataModule, tokenizer: PreTrainedTokenizerBase, example: Example, where: str, row: Row | None = None
) -> Shown:
    ids, labels, task = example.input_ids.tolist(), example.labels, read.posed
    nothing = [False] * len(ids)
    if example.tags is not None and example.places is not None:
        assert row is not None
        tagged = zip(row.values["tokens"], example.tags.tolist(), example.places.tolist(), strict=True)
        words = tuple((harmless(word), task.labels[tag], place >= 0) for word, tag, place in tagged)
        mask = (np.asarray(labels) != IGNORED).tolist()
        return Shown(where, read=pieces(tokenizer, ids, mask), words=words)
    if isinstance(labels, int):
        name = task.labels[labels]
        answer = name if task.cloze is None else f"{task.cloze.words[labels]}  ({name})"
        return Shown(where, read=pieces(tokenizer, ids, nothing), answer=harmless(answer))
    if labels.dtype == np.float32:
        if task.problem == "regression":
            assert row is not None
            answer = ", ".join(
                f"{n} {value:g}" for n, value in zip(task.labels, parsed(row.values["target"]), strict=True)
            )
        else:
            answer = ", ".join(name for name, value in zip(task.labels, labels, strict=True) if value) or "(none)"
        return Shown(where, read=pieces(tokenizer, ids, nothing), answer=harmless(answer))
    if task.auto_class == "AutoModelForSeq2SeqLM":
        written = labels[labels != IGNORED].tolist()
        return Shown(where, pieces(tokenizer, ids, nothing), pieces(tokenizer, written, [True] * len(written)))
    return Shown(where, read=pieces(tokenizer, ids, (labels != IGNORED).tolist()))
