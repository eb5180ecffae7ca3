"""Questions to finished runs: the rows that they were tested on, and the answers to them."""

from typing import Any

from ftlab.data.base import DataModule
from ftlab.data.build import build_data
from ftlab.data.rows.row import Row
from ftlab.inference.finished_run import FinishedRun
from ftlab.inference.inputs import input_columns
from ftlab.inference.predictor import Predictor
from ftlab.models.devices import find_devices


def data_of(run: FinishedRun) -> DataModule:
    """Return the run's data."""
    return build_data(run.config, find_devices(run.config.hardware))


def rows_of(run: FinishedRun) -> list[Row]:
    """Return the rows that the run was tested on, without what it was to predict."""
    roles = input_columns(run.config.dataset)
    return [Row({role: row.values[role] for role in roles}, row.where) for row in data_of(run).splits["test"]]


def answers(run: FinishedRun, rows: list[Row], *, max_new_tokens: int = 12) -> list[Any]:
    """Return the run's predictions."""
    done: list[int] = []
    predictions = Predictor(run).predict_rows(rows, max_new_tokens=max_new_tokens, advance=done.append)
    assert sum(done) == len(rows)
    return predictions
