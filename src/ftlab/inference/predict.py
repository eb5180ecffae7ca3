"""Predictions of a finished run, made by the function that its task kind names."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn

from ftlab.config.kinds import load_part
from ftlab.config.task_kind import TaskKind
from ftlab.core.errors import ConfigError, UserError
from ftlab.data.rows.row import Row
from ftlab.inference.finished_run import FinishedRun
from ftlab.inference.loaded_run import LoadedRun, Prediction, PredictRows
from ftlab.models import Base
from ftlab.models.devices import local_device


def predict(
    run: FinishedRun, base: Base, rows: Sequence[Row], *, max_new_tokens: int, advance: Callable[[int], None]
) -> list[Prediction]:
    """Predict every row.

    Args:
        run: the run.
        base: its base model, freshly loaded; changed in place.
        rows: role -> text, without labels or responses.
        max_new_tokens: largest number of tokens that a language model generates.
        advance: called with the number of rows done since the last call.

    Returns:
        A prediction for each row, in order; its keys are those of the task kind's function.

    Raises:
        UserError: models of this task kind predict nothing.
        DataError: a prompt is too long for the model.
        ConfigError: the task kind's function returned no prediction for some row.
    """
    predict_rows = predict_function(run)
    model = run.restore_model(base).to(local_device())
    with torch.inference_mode(), _precision(run, model):
        loaded = LoadedRun(run=run, base=base, model=model, max_new_tokens=max_new_tokens, advance=advance)
        predictions = predict_rows(loaded, rows)
    _require_predictions(predictions, len(rows), run.task.kind)
    return predictions


def predict_function(run: FinishedRun) -> PredictRows:
    """Return the function that predicts rows of the run's task kind.

    Raises:
        UserError: models of this task kind predict nothing.
    """
    kind = run.task.kind
    if kind.predict is None:
        raise UserError(
            f"a model of dataset.task={kind.name} predicts nothing by itself: its weights are for further training, "
            "see ftlab export."
        )
    function: PredictRows = load_part(kind, kind.predict)
    return function


def _require_predictions(predictions: Any, rows: int, kind: TaskKind) -> None:
    """Check what the function of a task kind returned, as it may be a user's."""
    if not isinstance(predictions, list) or not all(isinstance(row, dict) for row in predictions):
        raise ConfigError(f"{kind.predict} must return a list of dicts, one for each row, and returned something else.")
    if len(predictions) != rows:
        raise ConfigError(
            f"{kind.predict} returned {len(predictions)} predictions for {rows} rows: return one for each."
        )


def _precision(run: FinishedRun, model: nn.Module) -> AbstractContextManager[Any]:
    """Return the autocast context of the run's own test, as far as this machine supports it."""
    precision = run.record.hardware.precision if run.record.hardware else "32-true"
    device = next(model.parameters()).device.type
    if precision == "bf16-mixed":
        return torch.autocast(device, torch.bfloat16)
    return torch.autocast(device, torch.float16) if precision == "16-mixed" and device == "cuda" else nullcontext()
