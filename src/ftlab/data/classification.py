"""Texts, or pairs of texts, with one class each."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from ftlab.data.base import DataModule
from ftlab.data.cloze import ClozeText
from ftlab.data.collate import Example
from ftlab.data.encoded import Encoded
from ftlab.data.labelled import NUMBER, encode_texts, ordered
from ftlab.data.rows import Roles, Row, Splits, canonical
from ftlab.data.splits import Unit
from ftlab.data.tokens import plain_ids
from ftlab.errors import DataError
from ftlab.tasks.spec import CLASSIFICATION, Task

_MEANINGLESS = (
    "The classes are numbers, and a language model that is to write them cannot know what they mean: set method.words."
)


class ClassificationData(DataModule):
    """Splits are stratified by label; texts are cut to max_length."""

    roles = Roles(
        required=("text", "label"), optional=("text_pair", "slice"), given=("text", "text_pair"), whole=("label",)
    )

    def __init__(self, splits: Splits, *, classes: tuple[str, ...] | None = None, **settings: Any) -> None:
        """Take the rows; see `DataModule`.

        Args:
            splits: rows of train, val and test.
            classes: in the order of their ids; None: those of the training rows.
            settings: see `DataModule`.

        Raises:
            DataError: fewer than two classes, or a class that only validation or test has.
        """
        self.labels = classes or labels(splits)  # before rows are limited, so that ids do not depend on the budget
        super().__init__(splits, **settings)
        for split in ("train", "test"):
            absent = sorted(set(self.labels) - {row.values["label"].strip() for row in self.splits[split]})
            if absent:
                self.warnings.append(
                    f"{len(absent)} of {len(self.labels)} classes have no {split} row ({', '.join(absent[:3])}"
                    f"{', …' if len(absent) > 3 else ''})."
                )

    @classmethod
    def unanswered(cls, task: Task) -> tuple[dict[str, str], dict[str, Any]]:
        """See `Kind`."""
        return {"label": task.labels[0]}, {"classes": task.labels}

    @property
    def task(self) -> Task:
        """Sequence classification with the labels of the training rows, and their shares there.

        The shares follow Laplace's rule of succession: a class that the budget left without a row is not impossible.
        """
        rows = Counter(row.values["label"].strip() for row in self.splits["train"])
        whole = rows.total() + len(self.labels)
        shares = tuple((rows[label] + 1) / whole for label in self.labels)
        return replace(CLASSIFICATION.with_labels(self.labels), label_shares=shares)

    @classmethod
    def units(cls, rows: Sequence[Row]) -> Iterator[Unit]:
        """Keep equal texts together, and give every split its share of each label."""
        for row in rows:
            for unit in super().units([row]):
                yield Unit(unit.key, row.values["label"].strip())

    def encode(self, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> Encoded:
        """Tokenize text and pair, cut to max_length: of a pair the longer text first."""
        if self.posed.cloze is not None:
            return self._with_gaps(tokenizer, rows)
        number = {label: index for index, label in enumerate(self.labels)}
        return encode_texts(tokenizer, rows, (number[row.values["label"].strip()] for row in rows), self.max_length)

    def _with_gaps(self, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> Encoded:
        """Set the texts into the template; they alone are cut, so that template and gap are always there."""
        assert self.posed.cloze is not None
        if all(NUMBER.fullmatch(word) for word in self.posed.cloze.words) and _MEANINGLESS not in self.warnings:
            self.warnings.append(_MEANINGLESS)
        cloze = ClozeText(tokenizer, self.posed, paired="text_pair" in rows[0].values)
        number = {label: index for index, label in enumerate(self.labels)}

        def texts(of: Sequence[Mapping[str, str]]) -> list[list[list[int]]]:
            """Return for each row the ids of its text, and of its pair."""
            columns = [plain_ids(tokenizer, [values[role].strip() for values in of]) for role in cloze.roles]
            return [list(row) for row in zip(*columns, strict=True)]

        shown = cloze.demonstrations(
            texts(self.demonstrations), [number[row["label"].strip()] for row in self.demonstrations]
        )
        examples, truncated = [], 0
        for row, given in zip(rows, texts([row.values for row in rows]), strict=True):
            ids, cut = cloze.question(given, self.max_length, shown)
            examples.append(Example(np.asarray(ids, np.int32), number[row.values["label"].strip()]))
            truncated += cut
        return Encoded(examples, [canonical(row.values) for row in rows], truncated, {})

    def demonstrate(self, tokenizer: PreTrainedTokenizerBase, candidates: Iterator[Row]) -> list[Row]:
        """Take the first ones, whose texts can be cut; `units` has them come from each class in turn."""
        return list(islice(candidates, self.posed.shots))


def labels(splits: Splits) -> tuple[str, ...]:
    """Return the class names of the training rows: numbers by size, names by name, whatever the order of the rows.

    Raises:
        DataError: fewer than two classes, or a class that only validation or test has, with file and line.
    """
    names = {row.values["label"].strip() for row in splits["train"]}
    if len(names) < 2:
        raise DataError(
            f"{splits['train'][0].where}: every training row has the label {names.pop()!r}: "
            "classification needs two classes or more; is dataset.columns.label the right column?"
        )
    for split in ("val", "test"):
        for row in splits[split]:
            if (name := row.values["label"].strip()) not in names:
                raise DataError(
                    f"{row.where}: the label {name!r} of this {split} row is that of no training row: "
                    "correct it, or add training rows of that class."
                )
    return ordered(names)
