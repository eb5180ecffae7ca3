"""Multi-label classification data: texts, or pairs of texts, with any number of labels each, including none."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from ftlab.config.groups import DatasetConfig
from ftlab.config.task import Task
from ftlab.core.errors import DataError
from ftlab.data.encoding.encoded_split import EncodedRows
from ftlab.data.label_values import is_set, label_list, with_hot_labels
from ftlab.data.rows.answers import without_rejected
from ftlab.data.rows.label_checks import label_doubts, labels_of_all
from ftlab.data.rows.label_names import name_of
from ftlab.data.rows.mapping import to_text
from ftlab.data.rows.remarks import Remarks
from ftlab.data.rows.row import BadRow, Columns, Converter, Row, Splits, UnusableValue
from ftlab.data.rows.splits import SplitKey
from ftlab.data.sequence import SequenceData, encode_texts, parse_list, sort_labels
from ftlab.kinds.multilabel import KIND


class MultilabelData(SequenceData):
    """Splits are stratified by the rarest label of each row; texts are truncated to max_length.

    A row's `labels` are a JSON list of names, sorted.
    """

    kind = KIND

    def __init__(self, splits: Splits, *, classes: tuple[str, ...] | None = None, **settings: Any) -> None:
        """Take the rows; see `DataModule`.

        Args:
            splits: rows of train, val and test.
            classes: label names in the order of their ids; None for those of all splits, as any may have the rare ones.
            settings: see `DataModule`.

        Raises:
            DataError: no row has a label.
        """
        names = {label for rows in splits.values() for row in rows for label in parse_list(row.values["labels"])}
        self.labels = classes or sort_labels(names)  # before rows are limited, so that ids do not depend on the budget
        if not self.labels:
            raise DataError(
                f"{splits['train'][0].where} and all rows after it have no label: is dataset.columns.labels right?"
            )
        counts = _counts(splits["train"])
        doubts = [
            *label_doubts(counts, "dataset.columns.labels"),
            *labels_of_all(counts, len(splits["train"])),
        ]
        super().__init__(splits, **settings)
        self.warnings += doubts
        for split in ("train", "test"):
            absent = sorted(set(self.labels) - _counts(self.splits[split]).keys())
            if absent and self.splits[split]:
                self.warnings.append(
                    f"{len(absent)} of {len(self.labels)} labels have no {split} row ({', '.join(absent[:3])}"
                    f"{', …' if len(absent) > 3 else ''})."
                )

    @classmethod
    def converters(cls, config: DatasetConfig) -> dict[str, Converter]:
        """Return the converter of labels: from a list, a text with a separator, or one column of 0 and 1 per label."""
        return {"labels": lambda value, _: _labels(value, config.label_separator, config.label_names)}

    @classmethod
    def prepare_rows(
        cls, rows: Iterable[Row | BadRow], columns: Columns, config: DatasetConfig, remarks: Remarks
    ) -> Iterable[Row | BadRow]:
        """Refuse rejected rows, and read lists of 0 and 1 as one such column per label; see `ColumnRoles`."""
        rows = without_rejected(rows, columns)
        column = columns.get("labels")
        if not isinstance(column, str):
            return rows
        return with_hot_labels(rows, column, config.label_separator, config.label_names, remarks)

    @classmethod
    def init_args(cls, config: DatasetConfig, columns: Columns) -> dict[str, Any]:
        """Return the label names, in the configured order, if each label has its own column, or if they are set."""
        column = columns.get("labels")
        names = column if isinstance(column, list) else config.label_names
        return super().init_args(config, columns) | ({"classes": tuple(names)} if names else {})

    @classmethod
    def label_placeholders(cls, task: Task) -> tuple[dict[str, str], dict[str, Any]]:
        """See `ColumnRoles`."""
        return {"labels": "[]"}, {"classes": task.labels}

    @property
    def task(self) -> Task:
        """Multi-label classification, with the fraction of training rows that have each label (Laplace's rule)."""
        rows, counts = len(self.splits["train"]), _counts(self.splits["train"])
        shares = tuple((counts[label] + 1) / (rows + 2) for label in self.labels)
        return Task.of(self.kind, labels=self.labels, label_shares=shares)

    @classmethod
    def split_keys(cls, rows: Sequence[Row]) -> Iterator[SplitKey]:
        """Keep equal texts in one split, and stratify splits by the rarest label of a row."""
        counts = _counts(rows)
        for row in rows:
            for key in super().split_keys([row]):
                rarest = min(parse_list(row.values["labels"]), key=lambda label: (counts[label], label), default="")
                yield SplitKey(key.group, rarest)

    def encode(self, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> EncodedRows:
        """Tokenize text and pair; the label vector has 1.0 for each label of the row, else 0.0."""
        label_ids = {label: index for index, label in enumerate(self.labels)}
        targets = np.zeros((len(rows), len(self.labels)), np.float32)
        for target, row in zip(targets, rows, strict=True):
            target[[label_ids[label] for label in parse_list(row.values["labels"])]] = 1
        return encode_texts(tokenizer, rows, targets, self.max_length, self.truncation)


def _counts(rows: Sequence[Row]) -> Counter[str]:
    return Counter(label for row in rows for label in parse_list(row.values["labels"]))


def _labels(value: Any, separator: str | None, label_names: Sequence[str] | None = None) -> str:
    if isinstance(value, Mapping):
        names = [name for name, flag in value.items() if is_set(flag, name)]
    else:
        items = label_list(value, separator)
        if items is None:
            raise UnusableValue(
                "no list",
                f"holds {type(value).__name__} where a list of labels is needed: set dataset.label_separator to the "
                "text between labels, or dataset.columns.labels to a list of columns of 0 and 1",
            )
        for name in items:
            if isinstance(name, bool) or not (isinstance(name, str | int) or _is_whole(name)):
                raise UnusableValue("no label", f"holds {name!r} in its list, which is no name of a label: correct it")
        names = [name_of(to_text(name).strip(), label_names) for name in items]
    return json.dumps(sorted({name.strip() for name in names} - {""}), ensure_ascii=False)


def _is_whole(value: Any) -> bool:
    return isinstance(value, float) and value.is_integer()
