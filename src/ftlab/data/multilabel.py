"""Texts, or pairs of texts, with any number of labels each, none included."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from ftlab.data.base import DataModule
from ftlab.data.encoded import Encoded
from ftlab.data.labelled import encode_texts, ordered, parsed
from ftlab.data.rows import Columns, NotUsable, Reader, Roles, Row, Splits
from ftlab.data.splits import Unit
from ftlab.errors import DataError
from ftlab.groups import DatasetConfig
from ftlab.tasks.spec import MULTILABEL, Task

_SWITCH = {"0": False, "0.0": False, "false": False, "1": True, "1.0": True, "true": True}


class MultilabelData(DataModule):
    """Every split gets its share of each label, as told by the rarest label of each row; texts are cut to max_length.

    A row's `labels` are a JSON list of names, sorted.
    """

    roles = Roles(required=("text", "labels"), optional=("text_pair", "slice"), given=("text", "text_pair"))

    def __init__(self, splits: Splits, *, classes: tuple[str, ...] | None = None, **settings: Any) -> None:
        """Take the rows; see `DataModule`.

        Args:
            splits: rows of train, val and test.
            classes: in the order of their ids; None: those of all rows, whichever split a rare one fell into.
            settings: see `DataModule`.

        Raises:
            DataError: no row has a label.
        """
        found = {label for rows in splits.values() for row in rows for label in parsed(row.values["labels"])}
        self.labels = classes or ordered(found)  # before rows are limited, so that ids do not depend on the budget
        if not self.labels:
            raise DataError(
                f"{splits['train'][0].where} and all rows after it have no label: is dataset.columns.labels right?"
            )
        super().__init__(splits, **settings)
        for split in ("train", "test"):
            absent = sorted(set(self.labels) - _counts(self.splits[split]).keys())
            if absent and self.splits[split]:
                self.warnings.append(
                    f"{len(absent)} of {len(self.labels)} labels have no {split} row ({', '.join(absent[:3])}"
                    f"{', …' if len(absent) > 3 else ''})."
                )

    @classmethod
    def readers(cls, config: DatasetConfig) -> dict[str, Reader]:
        """Read labels from a list, from a text with a separator, or from a column of 0 and 1 for each."""
        return {"labels": lambda value, _: _labels(value, config.label_separator)}

    @classmethod
    def arguments(cls, config: DatasetConfig, columns: Columns) -> dict[str, Any]:
        """Take the labels from the configuration where they are columns: in the order in which they stand there."""
        names = columns.get("labels")
        return {"classes": tuple(names)} if isinstance(names, list) else {}

    @classmethod
    def unanswered(cls, task: Task) -> tuple[dict[str, str], dict[str, Any]]:
        """See `Kind`."""
        return {"labels": "[]"}, {"classes": task.labels}

    @property
    def task(self) -> Task:
        """Multi-label classification, with the share of training rows that have each label (Laplace's rule)."""
        rows, counts = len(self.splits["train"]), _counts(self.splits["train"])
        shares = tuple((counts[label] + 1) / (rows + 2) for label in self.labels)
        return replace(MULTILABEL.with_labels(self.labels), label_shares=shares)

    @classmethod
    def units(cls, rows: Sequence[Row]) -> Iterator[Unit]:
        """Keep equal texts together; a row stands for its rarest label, so that no split goes without it by chance."""
        counts = _counts(rows)
        for row in rows:
            for unit in super().units([row]):
                rarest = min(parsed(row.values["labels"]), key=lambda label: (counts[label], label), default="")
                yield Unit(unit.key, rarest)

    def encode(self, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> Encoded:
        """Tokenize text and pair; the answer is a 1.0 for each label that the row has, else 0.0."""
        place = {label: index for index, label in enumerate(self.labels)}
        answers = np.zeros((len(rows), len(self.labels)), np.float32)
        for answer, row in zip(answers, rows, strict=True):
            answer[[place[label] for label in parsed(row.values["labels"])]] = 1
        return encode_texts(tokenizer, rows, answers, self.max_length)

    def demonstrate(self, tokenizer: PreTrainedTokenizerBase, candidates: Iterator[Row]) -> list[Row]:
        """Nothing shows labels by the number."""
        return []


def _counts(rows: Sequence[Row]) -> Counter[str]:
    return Counter(label for row in rows for label in parsed(row.values["labels"]))


def _labels(value: Any, separator: str | None) -> str:
    if isinstance(value, Mapping):
        names = [name for name, given in value.items() if _switched_on(given, name)]
    elif value is None or value != value:  # NaN
        names = []
    elif isinstance(value, list):
        for name in value:
            if isinstance(name, bool) or not isinstance(name, str | int):
                raise NotUsable("no label", f"holds {name!r} in its list, which is no name of a label: mend it")
        names = [str(name) for name in value]
    elif separator is None:
        raise NotUsable(
            "no list",
            f"holds {type(value).__name__} where a list of labels is needed: set dataset.label_separator to what parts "
            "them, or dataset.columns.labels to a list of columns of 0 and 1",
        )
    else:
        names = str(value).split(separator)
    return json.dumps(sorted({name.strip() for name in names} - {""}), ensure_ascii=False)


def _switched_on(value: Any, column: str) -> bool:
    found = _SWITCH.get(str(value).strip().lower())
    if found is None:
        raise NotUsable("no switch", f"holds {value!r} where 0 or 1 is needed: mend it", column)
    return found
