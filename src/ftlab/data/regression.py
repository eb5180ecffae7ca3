"""Regression data: texts, or pairs of texts, with one number each, or several."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from ftlab.config.groups import DatasetConfig
from ftlab.config.task import Task
from ftlab.core.errors import DataError
from ftlab.data.encoding.encoded_split import EncodedRows
from ftlab.data.rows.row import Columns, Converter, Row, Splits, UnusableValue
from ftlab.data.sequence import SequenceData, encode_texts, parse_list
from ftlab.kinds.regression import KIND

_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")


class RegressionData(SequenceData):
    """Targets are standardised by mean and standard deviation of the training rows; metrics use the original scale.

    A head starts near zero, and learning rates are tuned for outputs of about one: with targets of 1 to 5, training
    would spend its first steps on the mean, and among several targets one of a large scale would dominate the loss.
    A row's `target` is a JSON list of numbers.
    """

    kind = KIND

    def __init__(self, splits: Splits, *, targets: tuple[str, ...], standardise: bool = True, **settings: Any) -> None:
        """Take the rows; see `DataModule`.

        Args:
            splits: rows of train, val and test.
            targets: names of the targets, in their order in the rows.
            standardise: whether training uses targets of mean 0 and standard deviation 1.
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
        self.task_for_model = self.task  # with the statistics of the training rows in use

    @classmethod
    def converters(cls, config: DatasetConfig) -> dict[str, Converter]:
        """Return the converter that reads a number from each column."""
        return {"target": _target}

    @classmethod
    def init_args(cls, config: DatasetConfig, columns: Columns) -> dict[str, Any]:
        """Return the names of the targets, which are those of their columns; see `__init__`."""
        column = columns.get("target")
        names = column if isinstance(column, list) else [str(column)]
        return super().init_args(config, columns) | {
            "targets": tuple(names),
            "standardise": config.standardise is not False,
        }

    @classmethod
    def label_placeholders(cls, task: Task) -> tuple[dict[str, str], dict[str, Any]]:
        """See `ColumnRoles`."""
        return {"target": json.dumps([0.0] * len(task.labels))}, {"targets": task.labels}

    @property
    def task(self) -> Task:
        """Regression, with mean and scale of each target."""
        return Task.of(
            self.kind,
            labels=self.targets,
            label_shares=tuple(map(float, self.middle)),
            target_means=tuple(map(float, self.means)),
            target_scales=tuple(map(float, self.scales)),
        )

    def encode(self, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> EncodedRows:
        """Tokenize text and pair; the labels are the standardised targets."""
        labels = ((_numbers(rows, len(self.targets)) - self.means) / self.scales).astype(np.float32)
        return encode_texts(tokenizer, rows, labels, self.max_length, self.truncation)


def _numbers(rows: Sequence[Row], targets: int) -> NDArray[np.float64]:
    """Return the targets of each row, (rows, targets)."""
    return np.fromiter(
        (parse_list(row.values["target"]) for row in rows), np.dtype((np.float64, (targets,))), len(rows)
    )


def _target(value: Any, column: str) -> str:
    """Return the numbers as JSON, or "" if one is missing."""
    value_of = value if isinstance(value, Mapping) else {column: value}
    numbers = [_number(cell, name) for name, cell in value_of.items()]
    return "" if None in numbers else json.dumps(numbers)


def _number(value: Any, column: str) -> float | None:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        is_decimal_comma = isinstance(value, str) and _DECIMAL_COMMA.fullmatch(value.strip())
        remedy = "write a point for the decimal comma" if is_decimal_comma else "correct it"
        raise UnusableValue("no number", f"holds {value!r} where a number is needed: {remedy}", column)
    return number
