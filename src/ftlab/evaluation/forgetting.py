"""Forgetting of a language model: its loss on general text before and after training."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from ftlab import tasks
from ftlab.config.robustness import ForgettingConfig
from ftlab.config.run_config import RunConfig
from ftlab.config.task import Task
from ftlab.core.errors import UserError
from ftlab.data.encoding.masking import Masking
from ftlab.data.loading.batches import Loading
from ftlab.data.rows.mapping import BadRowHandler, map_rows
from ftlab.data.rows.row import Row
from ftlab.data.sources.source import read_source
from ftlab.data.text import MaskedTextData, RunningText, TextData
from ftlab.evaluation.batches import Batches, evaluate_batches, evenly_spaced
from ftlab.methods.partial import Full
from ftlab.models import Base
from ftlab.record import Metric
from ftlab.tasks.base import TaskModule
from ftlab.tasks.language_model import LanguageModelScores


def predicts_running_text(task: Task) -> bool:
    """Return whether the task is causal or masked language modelling on running text."""
    return not task.labels and task.head.auto_class in (
        TextData.kind.head.auto_class,
        MaskedTextData.kind.head.auto_class,
    )


def general_text_batches(config: RunConfig, tokenizer: PreTrainedTokenizerBase, task: Task) -> Batches:
    """Return examples of the general text, as long as the run's own examples.

    Raises:
        UserError: the run trains on that text.
        DataError: the text cannot be read.
    """
    settings = config.robustness.forgetting
    if settings.source == config.dataset.source:
        raise UserError(
            "robustness.forgetting.source is the text that this run trains on: set another source, or "
            "robustness.forgetting.rows=0."
        )
    batch_size = config.hardware.eval_batch_size
    data_class: type[RunningText] = MaskedTextData if task.kind.masks else TextData
    data = data_class(
        {"train": [], "val": [], "test": []},
        max_length=config.max_length,
        loading=Loading(micro_batch_size=batch_size, eval_batch_size=batch_size),
    )
    collate = data.prepare_encoding(tokenizer, model=config.model.name)
    # each row yields at least one example, so `rows` rows suffice; tokenizing all would take longer than evaluating
    examples = data.encode(tokenizer, evenly_spaced(_read_rows(settings), settings.rows)).examples
    masking = Masking.of(tokenizer) if task.kind.masks else None
    return Batches(evenly_spaced(examples, settings.rows), collate, batch_size, masking)


def evaluate_base(base: Base, task: Task, text: Batches, device: torch.device) -> dict[str, Metric]:
    """Return the loss of the base as it was loaded; it must be on `device`."""
    module: TaskModule[Any] = tasks.build_task(task, base.model, Full(), _no_optimizer)
    module.eval().to(device)
    return evaluate_module(module, task, text)


def evaluate_module(
    module: TaskModule[Any], task: Task, text: Batches, *, advance: Callable[[], None] = lambda: None
) -> dict[str, Metric]:
    """Return the loss of a model with its method's parameters; `advance` is called after each batch."""
    scores = LanguageModelScores(bits_per_byte=not task.kind.masks)
    return evaluate_batches(module, text, scores, advance=advance)


def _read_rows(settings: ForgettingConfig) -> Sequence[Row]:
    bad = BadRowHandler("skip")
    rows = read_source(settings.source)["train"]
    return list(map_rows(rows, {"text": settings.column}, TextData.kind.roles, bad))


def _no_optimizer(groups: list[dict[str, Any]]) -> tuple[torch.optim.Optimizer, Any]:
    raise AssertionError("an evaluation builds no optimizer")
