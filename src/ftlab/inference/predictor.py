"""Predictor: a finished run's model, loaded once to predict many times."""

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Literal, overload

import torch
from torch import nn

from ftlab.config.kinds import load_part
from ftlab.config.task_kind import TaskKind
from ftlab.core.errors import ConfigError, UserError, did_you_mean, reason
from ftlab.data.rows.row import Row
from ftlab.inference.finished_run import FinishedRun, read_run
from ftlab.inference.inputs import Input, from_inputs, input_columns, usable
from ftlab.inference.loaded_run import LoadedRun, PredictRows
from ftlab.inference.predictions import Prediction
from ftlab.models.devices import local_device

# A tokenizer is for one thread at a time: others would get wrong answers. Loading and generating also change settings
# of the whole process for as long as they last: Transformers' verbosity, PyTorch's default dtype and random state,
# filters of warnings. A thread may take a turn within its own, as a user's task kind may ask another predictor.
_TURN = threading.RLock()
_ON_BAD_ROWS = ("error", "skip")


class Predictor:
    """A finished run's model in evaluation mode, loaded once, that predicts new inputs.

    It holds the memory of the model for as long as there is a reference to it. Threads may share it: they take turns,
    and so do all predictors of a process. Models run in `torch.inference_mode`.

    Attributes:
        run: the run; `run.task.labels` are its classes, labels or targets.
    """

    def __init__(
        self,
        run: str | os.PathLike[str] | FinishedRun,
        *,
        trust: bool = False,
        kinds: Sequence[str] | str = (),
        device: torch.device | str | None = None,
    ) -> None:
        """Load the base model and the trained weights.

        Args:
            run: the run's folder, or what `ftlab.load_run` or `read_run` returned.
            trust: for a folder: whether to run code that it names; see `read_run`.
            kinds: for a folder: modules or files with its task kinds; see `read_run`.
            device: where the model computes; None: on a GPU, if there is one.

        Raises:
            UserError: there is no such run, it did not complete, it needs `trust`, models of its task kind predict
                nothing, or there is no such device, all before the model is loaded; or the base model is not available.
        """
        with _TURN, torch.random.fork_rng(devices=[]):  # new heads are drawn at random before weights replace them
            if not isinstance(run, FinishedRun):
                entries = [kinds] if isinstance(kinds, str) else kinds
                run = read_run(Path(run).expanduser(), trust=trust, kinds=entries)
            self.run = run
            input_columns(run.config.dataset)  # refuses a mixture
            self._predict_rows = _predict_function(run)
            device = local_device() if device is None else _usable(device)
            self._base = run.load_base()
            self._model = run.restore_model(self._base).to(device)

    @overload
    def predict(
        self,
        inputs: Sequence[Input],
        *,
        max_new_tokens: int = ...,
        advance: Callable[[int], None] = ...,
        on_bad_rows: Literal["error"] = ...,
    ) -> list[Prediction]: ...

    @overload
    def predict(
        self,
        inputs: Sequence[Input],
        *,
        max_new_tokens: int = ...,
        advance: Callable[[int], None] = ...,
        on_bad_rows: Literal["skip"],
    ) -> list[Prediction | None]: ...

    def predict(
        self,
        inputs: Sequence[Input],
        *,
        max_new_tokens: int = 128,
        advance: Callable[[int], None] = lambda _: None,
        on_bad_rows: Literal["error", "skip"] = "error",
    ) -> list[Prediction] | list[Prediction | None]:
        """Predict each input.

        Args:
            inputs: each a text, a list of words if the run reads words, or a mapping column -> value with the columns
                that the run read, without labels or responses.
            max_new_tokens: largest number of tokens that a language model writes.
            advance: called with the number of inputs done since the last call.
            on_bad_rows: what an input without text, or with a value that is no text, leads to: `error`, or with
                `skip` None in place of its prediction.

        Returns:
            A prediction for each input, in order, of the type of the task kind's function; none for no inputs.

        Raises:
            UserError: `inputs` is no list, `max_new_tokens` is below 1, or `on_bad_rows` is another word.
            DataError: an input cannot be used, or a prompt is too long for the model; names the input as `inputs[3]`.
            ConfigError: the task kind's function returned no prediction for some row.
        """
        if on_bad_rows not in _ON_BAD_ROWS:
            raise UserError(
                f"on_bad_rows={on_bad_rows!r} is not valid: {did_you_mean(str(on_bad_rows), _ON_BAD_ROWS)}."
            )
        rows = from_inputs(inputs, self.run.config.dataset)
        if on_bad_rows == "error":
            usable_rows = usable(rows, ", or pass on_bad_rows='skip' to go on without it")
        else:
            usable_rows = [row for row in rows if isinstance(row, Row)]
        predictions = self.predict_rows(usable_rows, max_new_tokens=max_new_tokens, advance=advance)
        if on_bad_rows == "error":
            return predictions
        remaining = iter(predictions)
        return [next(remaining) if isinstance(row, Row) else None for row in rows]

    def predict_rows(
        self, rows: Sequence[Row], *, max_new_tokens: int, advance: Callable[[int], None]
    ) -> list[Prediction]:
        """Predict rows that `ftlab.inference.inputs` made of a file or of texts; see `predict`."""
        if type(max_new_tokens) is not int or max_new_tokens < 1:
            raise UserError(f"max_new_tokens={max_new_tokens!r} is not valid: give a whole number, 1 or more.")
        if not rows:
            return []
        loaded = LoadedRun(
            run=self.run, base=self._base, model=self._model, max_new_tokens=max_new_tokens, advance=advance
        )
        with _TURN, torch.inference_mode(), _precision(self.run, self._model):
            predictions = self._predict_rows(loaded, rows)
        return _checked_predictions(predictions, len(rows), self.run.task.kind)


def _predict_function(run: FinishedRun) -> PredictRows:
    kind = run.task.kind
    if kind.predict is None:
        raise UserError(
            f"a model of dataset.task={kind.name} predicts nothing by itself: its weights are for further training, "
            "see ftlab export."
        )
    function: PredictRows = load_part(kind, kind.predict)
    return function


def _usable(device: torch.device | str) -> torch.device:
    try:
        number = torch.zeros(1, device=device)
        number.item()  # which the device `meta` does not have
    except (RuntimeError, AssertionError, TypeError) as error:  # AssertionError: torch was built without CUDA
        raise UserError(
            f"device={device} cannot be used ({reason(error)}): give another one, or leave it out."
        ) from error
    return number.device


def _checked_predictions(returned: Any, rows: int, kind: TaskKind) -> list[Prediction]:
    """Return what the function of a task kind returned, which may be a user's, if it is what it must be."""
    wrong = [row for row in returned if not isinstance(row, Prediction)] if isinstance(returned, list) else [returned]
    if wrong:
        raise ConfigError(
            f"{kind.predict} returned {type(wrong[0]).__name__}: return a list with a prediction for each row, of a "
            f"frozen dataclass that derives from {Prediction.__module__}.{Prediction.__name__}."
        )
    predictions: list[Prediction] = returned
    if len(predictions) != rows:
        raise ConfigError(
            f"{kind.predict} returned {len(predictions)} predictions for {rows} rows: return one for each."
        )
    return predictions


def _precision(run: FinishedRun, model: nn.Module) -> AbstractContextManager[Any]:
    """Return the autocast context of the run's own test, as far as this machine supports it."""
    precision = run.record.hardware.precision if run.record.hardware else "32-true"
    device = next(model.parameters()).device.type
    if precision == "bf16-mixed":
        return torch.autocast(device, torch.bfloat16)
    return torch.autocast(device, torch.float16) if precision == "16-mixed" and device == "cuda" else nullcontext()
