"""Previews of texts with an expected answer: one class, several labels, or numbers."""

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
from transformers import PreTrainedTokenizerBase

from ftlab.config.task import Task
from ftlab.core.escapes import escape_controls
from ftlab.data.base import DataModule
from ftlab.data.encoding.example import Example
from ftlab.data.rows.row import Row
from ftlab.data.sequence import parse_list
from ftlab.preview.kind_preview import KindPreview, ShownExample, TargetStats
from ftlab.preview.token_spans import token_spans


class AnswerPreview(KindPreview):
    """All tokens are input, and the expected answer follows."""

    with_loss = None

    @abstractmethod
    def answer(self, example: Example, row: Row, task: Task) -> str:
        """Return the expected answer; `task` as adapted to model and method."""

    def show(
        self, data: DataModule, tokenizer: PreTrainedTokenizerBase, example: Example, row: Row, where: str
    ) -> ShownExample:
        """See `KindPreview`."""
        ids = example.input_ids.tolist()
        answer = escape_controls(self.answer(example, row, data.task_for_model))
        return ShownExample(where, inputs=token_spans(tokenizer, ids, [False] * len(ids)), answer=answer)


class ClassPreview(AnswerPreview):
    """The class of a text; of a cloze question, its word too."""

    counted = "rows"

    def answer(self, example: Example, row: Row, task: Task) -> str:
        """See `AnswerPreview`."""
        label = int(example.labels)
        return task.labels[label] if task.cloze is None else f"{task.cloze.words[label]}  ({task.labels[label]})"

    def labels_of(self, row: Row) -> list[str]:
        """See `KindPreview`."""
        return [row.values["label"].strip()]


class LabelsPreview(AnswerPreview):
    """The labels of a text."""

    counted = "rows"
    several_labels = True

    def answer(self, example: Example, row: Row, task: Task) -> str:
        """See `AnswerPreview`."""
        values = zip(task.labels, np.asarray(example.labels), strict=True)
        return ", ".join(name for name, value in values if value) or "(none)"

    def labels_of(self, row: Row) -> list[str]:
        """See `KindPreview`."""
        return parse_list(row.values["labels"])


class NumbersPreview(AnswerPreview):
    """The numbers of a text, on the targets' own scale."""

    def answer(self, example: Example, row: Row, task: Task) -> str:
        """See `AnswerPreview`."""
        values = zip(task.labels, parse_list(row.values["target"]), strict=True)
        return ", ".join(f"{name} {value:g}" for name, value in values)

    def target_stats(self, rows: Sequence[Row], task: Task) -> list[TargetStats]:
        """See `KindPreview`."""
        columns = np.array([parse_list(row.values["target"]) for row in rows], np.float64).T
        return [
            TargetStats(name, *map(float, (column.mean(), column.std(), column.min(), column.max())))
            for name, column in zip(task.labels, columns, strict=True)
        ]
