"""Sample of training rows as the model sees them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from transformers import PreTrainedTokenizerBase

from ftlab.config.task import MASKED_LM
from ftlab.core.batch import IGNORE_INDEX
from ftlab.data.base import DataModule
from ftlab.data.encoding.example import Example
from ftlab.data.encoding.masking import Masking
from ftlab.data.rows.row import Row
from ftlab.data.sequence import parse_list
from ftlab.data.text import RunningText
from ftlab.preview.token_spans import TokenSpan, escape_controls, token_spans


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


def sample_examples(data: DataModule, tokenizer: PreTrainedTokenizerBase, count: int) -> list[ShownExample]:
    """Return `count` training rows as the model sees them, evenly spaced, since files are often sorted by label.

    Args:
        data: tokenized data.
        tokenizer: the tokenizer it was tokenized with.
        count: number of rows; for running text, of examples.
    """
    if isinstance(data, RunningText):
        return [_shown(data, tokenizer, example, where) for where, example in _first_examples(data, tokenizer, count)]
    train = data.splits["train"]
    examples: list[ShownExample] = []
    for index in sorted({n * len(train) // count for n in range(count)}):
        row = train[index]
        encoded, where = data.encode(tokenizer, [row]), escape_controls(row.where)
        examples += [_shown(data, tokenizer, example, where, row) for example in encoded.examples]
        examples += [ShownExample(f"{where}: left out, {reason}") for reason, n in encoded.dropped.items() if n]
    return examples


def _first_examples(data: RunningText, tokenizer: PreTrainedTokenizerBase, count: int) -> Iterator[tuple[str, Example]]:
    """Yield the first examples with a title each; masked as in validation, the same every time."""
    train, rows = data.splits["train"], 1
    examples: list[Example] = []
    while len(examples) <= count and rows < 2 * len(train):
        examples, rows = data.encode(tokenizer, train[:rows]).examples, 2 * rows
    masking = Masking.of(tokenizer) if data.task.name == MASKED_LM.name else None
    for number, example in enumerate(examples[:count]):
        yield f"example {number + 1}", masking(example, number) if masking else example


def _shown(
    data: DataModule, tokenizer: PreTrainedTokenizerBase, example: Example, where: str, row: Row | None = None
) -> ShownExample:
    ids, labels, task = example.input_ids.tolist(), example.labels, data.task_for_model
    no_loss = [False] * len(ids)
    if example.tags is not None and example.places is not None:
        assert row is not None
        tagged = zip(row.values["tokens"], example.tags.tolist(), example.places.tolist(), strict=True)
        words = tuple((escape_controls(word), task.labels[tag], position >= 0) for word, tag, position in tagged)
        in_loss = (np.asarray(labels) != IGNORE_INDEX).tolist()
        return ShownExample(where, inputs=token_spans(tokenizer, ids, in_loss), tagged_words=words)
    if isinstance(labels, int):
        name = task.labels[labels]
        answer = name if task.cloze is None else f"{task.cloze.words[labels]}  ({name})"
        return ShownExample(where, inputs=token_spans(tokenizer, ids, no_loss), answer=escape_controls(answer))
    if labels.dtype == np.float32:
        if task.problem == "regression":
            assert row is not None
            values = zip(task.labels, parse_list(row.values["target"]), strict=True)
            answer = ", ".join(f"{name} {value:g}" for name, value in values)
        else:
            answer = ", ".join(name for name, value in zip(task.labels, labels, strict=True) if value) or "(none)"
        return ShownExample(where, inputs=token_spans(tokenizer, ids, no_loss), answer=escape_controls(answer))
    if task.auto_class == "AutoModelForSeq2SeqLM":
        targets = labels[labels != IGNORE_INDEX].tolist()
        return ShownExample(
            where,
            inputs=token_spans(tokenizer, ids, no_loss),
            targets=token_spans(tokenizer, targets, [True] * len(targets)),
        )
    return ShownExample(where, inputs=token_spans(tokenizer, ids, (labels != IGNORE_INDEX).tolist()))
