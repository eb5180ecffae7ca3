"""Texts, or pairs of texts, with one class each."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from ftlab.config.groups import DatasetConfig
from ftlab.config.task import Task
from ftlab.core.errors import DataError
from ftlab.data.encoding.encoded_split import EncodedRows
from ftlab.data.encoding.example import Example
from ftlab.data.encoding.tokens import plain_ids
from ftlab.data.label_values import single_label
from ftlab.data.prompting.cloze import ClozeText
from ftlab.data.rows.answers import without_rejected
from ftlab.data.rows.label_checks import free_text_doubts, label_doubts
from ftlab.data.rows.label_names import NameColumnFinder
from ftlab.data.rows.remarks import Remarks
from ftlab.data.rows.row import BadRow, Columns, Converter, Row, Splits, canonical_json
from ftlab.data.rows.splits import SplitKey
from ftlab.data.sequence import NUMBER, SequenceData, encode_texts, sort_labels
from ftlab.kinds.classification import KIND

_MEANINGLESS = (
    "The classes are numbers, and a language model that is to write them cannot know what they mean: set method.words."
)


class ClassificationData(SequenceData):
    """Texts, or pairs of texts, with one label each; splits are stratified by label, texts truncated to max_length."""

    kind = KIND

    def __init__(self, splits: Splits, *, classes: tuple[str, ...] | None = None, **settings: Any) -> None:
        """Take the rows; see `DataModule`.

        Args:
            splits: rows of train, val and test.
            classes: class names in the order of their ids; None for those of the training rows.
            settings: see `DataModule`.

        Raises:
            DataError: there are fewer than two classes, or a class that only validation or test has.
        """
        # before rows are limited, so that ids do not depend on the budget
        self.labels = classes or training_labels(splits)
        doubts = [] if classes else _doubts(splits["train"])
        super().__init__(splits, **settings)
        self.warnings += doubts
        for split in ("train", "test"):
            absent = sorted(set(self.labels) - {row.values["label"].strip() for row in self.splits[split]})
            if absent:
                self.warnings.append(
                    f"{len(absent)} of {len(self.labels)} classes have no {split} row ({', '.join(absent[:3])}"
                    f"{', …' if len(absent) > 3 else ''})."
                )

    @classmethod
    def converters(cls, config: DatasetConfig) -> dict[str, Converter]:
        """Return the converter of the label, which refuses lists of several."""
        return {"label": lambda value, _: single_label(value, config.label_names)}

    @classmethod
    def prepare_rows(
        cls, rows: Iterable[Row | BadRow], columns: Columns, config: DatasetConfig, remarks: Remarks
    ) -> Iterable[Row | BadRow]:
        """Refuse rejected rows, and look for a column with names of labels that are numbers; see `ColumnRoles`."""
        rows = without_rejected(rows, columns)
        return rows if config.label_names else NameColumnFinder("label", columns).watch(rows, remarks)

    @classmethod
    def label_placeholders(cls, task: Task) -> tuple[dict[str, str], dict[str, Any]]:
        """See `ColumnRoles`."""
        return {"label": task.labels[0]}, {"classes": task.labels}

    @property
    def task(self) -> Task:
        """Sequence classification with the labels of the training rows and their relative frequencies.

        Frequencies follow Laplace's rule of succession: a class without a row in the budget still has some probability.
        """
        rows = Counter(row.values["label"].strip() for row in self.splits["train"])
        total = rows.total() + len(self.labels)
        shares = tuple((rows[label] + 1) / total for label in self.labels)
        return Task.of(self.kind, labels=self.labels, label_shares=shares)

    @classmethod
    def split_keys(cls, rows: Sequence[Row]) -> Iterator[SplitKey]:
        """Keep equal texts in one split, and stratify splits by label."""
        for row in rows:
            for key in super().split_keys([row]):
                yield SplitKey(key.group, row.values["label"].strip())

    def encode(self, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> EncodedRows:
        """Tokenize text and pair, truncated to max_length, the longer text of a pair first."""
        if self.task_for_model.cloze is not None:
            return self._encode_cloze(tokenizer, rows)
        number = {label: index for index, label in enumerate(self.labels)}
        return encode_texts(
            tokenizer, rows, (number[row.values["label"].strip()] for row in rows), self.max_length, self.truncation
        )

    def _encode_cloze(self, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> EncodedRows:
        """Render the texts in the cloze template; only they are truncated, so that template and gap stay complete."""
        assert self.task_for_model.cloze is not None
        if (
            all(NUMBER.fullmatch(word) for word in self.task_for_model.cloze.words)
            and _MEANINGLESS not in self.warnings
        ):
            self.warnings.append(_MEANINGLESS)
        cloze = ClozeText(
            tokenizer, self.task_for_model, paired="text_pair" in rows[0].values, truncation=self.truncation
        )
        number = {label: index for index, label in enumerate(self.labels)}

        def text_ids(row_values: Sequence[Mapping[str, str]]) -> list[list[list[int]]]:
            """Return for each row the ids of its text and of its pair."""
            columns = [plain_ids(tokenizer, [values[role].strip() for values in row_values]) for role in cloze.roles]
            return [list(row) for row in zip(*columns, strict=True)]

        demonstrations = cloze.encode_demonstrations(
            text_ids(self.demonstrations), [number[row["label"].strip()] for row in self.demonstrations]
        )
        examples, truncated = [], 0
        for row, texts in zip(rows, text_ids([row.values for row in rows]), strict=True):
            ids, was_truncated = cloze.encode(texts, self.max_length, demonstrations)
            examples.append(Example(np.asarray(ids, np.int32), number[row.values["label"].strip()]))
            truncated += was_truncated
        return EncodedRows(examples, [canonical_json(row.values) for row in rows], truncated, {})

    def select_demonstrations(self, tokenizer: PreTrainedTokenizerBase, candidates: Iterator[Row]) -> list[Row]:
        """Return the first rows, whose texts can be truncated; candidates come from each class in turn."""
        return list(islice(candidates, self.task_for_model.shots))


def _doubts(rows: Sequence[Row]) -> list[str]:
    """Return the doubts about the labels of these rows; see `label_doubts`."""
    counts, column = Counter(row.values["label"].strip() for row in rows), "dataset.columns.label"
    return [*label_doubts(counts, column), *free_text_doubts(counts, column)]


def training_labels(splits: Splits) -> tuple[str, ...]:
    """Return the class names of the training rows, in the order of `sort_labels`.

    Raises:
        DataError: there are fewer than two classes, or a class that only validation or test has; names file and line.
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
                    f"{row.where}: no training row has the label {name!r} of this {split} row: "
                    "correct it, or add training rows of that class."
                )
    return sort_labels(names)
