"""Texts, or pairs of texts, with one class each."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from ftlab.data.base import DataModule, Encoded, tokenized
from ftlab.data.collate import Example
from ftlab.data.rows import Roles, Row, Splits, canonical
from ftlab.data.splits import Unit
from ftlab.errors import DataError
from ftlab.tasks.spec import CLASSIFICATION, Task

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


class ClassificationData(DataModule):
    """Splits are stratified by label; texts are cut to max_length."""

    roles = Roles(required=("text", "label"), optional=("text_pair",), given=("text", "text_pair"))

    def __init__(self, splits: Splits, **settings: Any) -> None:
        """Take the rows; see `DataModule`.

        Raises:
            DataError: fewer than two classes, or a class that only validation or test has.
        """
        self.labels = labels(splits)  # before rows are limited, so that ids do not depend on the budget
        super().__init__(splits, **settings)
        for split in ("train", "test"):
            absent = sorted(set(self.labels) - {row.values["label"].strip() for row in self.splits[split]})
            if absent:
                self.warnings.append(
                    f"{len(absent)} of {len(self.labels)} classes have no {split} row ({', '.join(absent[:3])}"
                    f"{', …' if len(absent) > 3 else ''})."
                )

    @property
    def task(self) -> Task:
        """Sequence classification with the labels of the training rows."""
        return CLASSIFICATION.with_labels(self.labels)

    @classmethod
    def units(cls, rows: Sequence[Row]) -> list[Unit]:
        """Keep equal texts together, and give every split its share of each label."""
        return [
            Unit(unit.key, row.values["label"].strip()) for unit, row in zip(super().units(rows), rows, strict=True)
        ]

    def encode(self, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> Encoded:
        """Tokenize text and pair, cut to max_length: of a pair the longer text first."""
        number = {label: index for index, label in enumerate(self.labels)}
        examples: list[Example] = []
        truncated: int | None = 0
        paired = "text_pair" in rows[0].values
        texts = [(row.values["text"], row.values["text_pair"]) if paired else row.values["text"] for row in rows]
        for batch in tokenized(tokenizer, texts, truncation=True, max_length=self.max_length):
            segments = batch.get("token_type_ids")
            for position, ids in enumerate(batch["input_ids"]):
                examples.append(
                    Example(
                        np.asarray(ids, np.int32),
                        number[rows[len(examples)].values["label"].strip()],
                        np.asarray(segments[position], np.int32) if segments is not None else None,
                    )
                )
            if truncated is not None and batch.encodings is not None:
                truncated += sum(bool(encoding.overflowing) for encoding in batch.encodings)
            else:
                truncated = None  # tokenizers in pure Python do not say
        return Encoded(examples, [canonical(row.values) for row in rows], truncated, {})


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
    return _ordered(names)


def _ordered(names: Iterable[str]) -> tuple[str, ...]:
    by_name = sorted(names)
    if all(_NUMBER.fullmatch(name) for name in by_name):
        return tuple(sorted(by_name, key=float))
    return tuple(by_name)
