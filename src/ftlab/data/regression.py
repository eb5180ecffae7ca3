"""Texts, or pairs of texts, with one number each, or several."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from ftlab.data.base import DataModule
from ftlab.data.encoded import Encoded
from ftlab.data.labelled import encode_texts, parsed
from ftlab.data.rows import Columns, NotUsable, Reader, Roles, Row, Splits
from ftlab.errors import DataError
from ftlab.groups import DatasetConfig
from ftlab.tasks.spec import REGRESSION, Task


class RegressionData(DataModule):
    """Targets are standardised by mean and deviation of the training rows; metrics are on their own scale.

    A head starts out near zero and learning rates are made for outputs of about one: a target of 1 to 5 would spend
    its first steps on the mean, and one of several targets with a large scale would drown the others.
    A row's `target` is a JSON list of numbers.
    """

    roles = Roles(required=("text", "target"), optional=("text_pair", "slice"), given=("text", "text_pair"))

    def __init__(self, splits: Splits, *, targets: tuple[str, ...], standardise: bool = True, **settings: Any) -> None:
        """Take the rows; see `DataModule`.

        Args:
            splits: rows of train, val and test.
            targets: names, in the order in which they stand in the rows.
            standardise: whether training sees targets of mean 0 and standard deviation 1.
            settings: see `DataModule`.

        Raises:
            DataError: a target is the same in every training row.
        """
        self.targets = targets
        self.means, self.scales, self.middle = np.zeros(len(targets)), np.ones(len(targets)), np.zeros(len(targets))
        super().__init__(splits, **settings)
        if not self.splits["train"]:
            return
        numbers = _numbers(self.splits["train"], len(targets))
        constant = [name for name, column in zip(targets, numbers.T, strict=True) if not np.ptp(column)]
        if constant:
            raise DataError(
                f"{self.splits['train'][0].where}: every training row in use has the same {constant[0]}: there is "
                "nothing to learn; is dataset.columns.target the right column?"
            )
        if standardise:
            self.means, self.scales = numbers.mean(0), numbers.std(0)
        else:
            self.middle = numbers.mean(0)
        self.posed = self.task  # with what the training rows in use have told

    @classmethod
    def readers(cls, config: DatasetConfig) -> dict[str, Reader]:
        """Read a number from each column."""
        return {"target": _target}

    @classmethod
    def arguments(cls, config: DatasetConfig, columns: Columns) -> dict[str, Any]:
        """Name the targets as their columns; see `__init__`."""
        column = columns.get("target")
        names = column if isinstance(column, list) else [str(column)]
        return {"targets": tuple(names), "standardise": config.standardise is not False}

    @classmethod
    def unanswered(cls, task: Task) -> tuple[dict[str, str], dict[str, Any]]:
        """See `Kind`."""
        return {"target": json.dumps([0.0] * len(task.labels))}, {"targets": task.labels}

    @property
    def task(self) -> Task:
        """Regression, with the scale of each target."""
        return replace(
            REGRESSION.with_labels(self.targets),
            label_shares=tuple(map(float, self.middle)),
            target_means=tuple(map(float, self.means)),
            target_scales=tuple(map(float, self.scales)),
        )

    def encode(self, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> Encoded:
        """Tokenize text and pair; the answer is the targets, standardised."""
        answers = ((_numbers(rows, len(self.targets)) - self.means) / self.scales).astype(np.float32)
        return encode_texts(tokenizer, rows, answers, self.max_length)

    def demonstrate(self, tokenizer: PreTrainedTokenizerBase, candidates: Iterator[Row]) -> list[Row]:
        """Nothing shows numbers."""
        return []


def _numbers(rows: Sequence[Row], targets: int) -> NDArray[np.float64]:
    """Return the targets of each row, (rows, targets)."""
    return np.fromiter((parsed(row.values["target"]) for row in rows), np.dtype((np.float64, (targets,))), len(rows))


def _target(value: Any, column: str) -> str:
    """Return the numbers as JSON, or nothing where one is missing."""
    given = value if isinstance(value, Mapping) else {column: value}
    numbers = [_number(one, name) for name, one in given.items()]
    return "" if None in numbers else json.dumps(numbers)


def _number(value: Any, column: str) -> float | None:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise NotUsable("no number", f"holds {value!r} where a number is needed: mend it", column)
    return number
