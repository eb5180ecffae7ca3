"""What a language model forgets: its loss on general text before and after training."""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from ftlab import tasks
from ftlab.data.batches import Loading
from ftlab.data.mapping import BadRows, map_rows
from ftlab.data.masking import Masking
from ftlab.data.rows import Row
from ftlab.data.source import read_source
from ftlab.data.text import MaskedTextData, RunningText, TextData
from ftlab.errors import UserError
from ftlab.groups import ForgettingConfig
from ftlab.methods.selective import Full
from ftlab.models import Base
from ftlab.record import Metric
from ftlab.robustness.sample import Batches, evaluated, spread
from ftlab.schema import RunConfig
from ftlab.tasks.base import TaskModule
from ftlab.tasks.language_model import LanguageModelScores
from ftlab.tasks.spec import MASKED_LM, TEXT, Task


def can_forget(task: Task) -> bool:
    """Whether the task's model predicts running text: a decoder that writes, or an encoder with masked tokens."""
    return not task.labels and task.auto_class in (TEXT.auto_class, MASKED_LM.auto_class)


def general_text(config: RunConfig, tokenizer: PreTrainedTokenizerBase, task: Task) -> Batches:
    """Return examples of the general text, of the run's own length.

    Raises:
        UserError: it is the text that is trained on.
        DataError: it cannot be read.
    """
    wanted = config.robustness.forgetting
    if wanted.source == config.dataset.source:
        raise UserError(
            "robustness.forgetting.source is what this run is trained on: name another text, or set "
            "robustness.forgetting.rows=0."
        )
    size = config.hardware.eval_batch_size
    masked = task.name == MASKED_LM.name
    kind: type[RunningText] = MaskedTextData if masked else TextData
    data = kind(
        {"train": [], "val": [], "test": []},
        max_length=config.max_length,
        loading=Loading(micro_batch_size=size, eval_batch_size=size),
    )
    collate = data.pose(tokenizer, model=config.model.name)
    # each row gives an example or more, so as many rows do; tokenizing them all would take longer than measuring
    examples = data.encode(tokenizer, spread(_rows(wanted), wanted.rows)).examples
    return Batches(spread(examples, wanted.rows), collate, size, Masking.of(tokenizer) if masked else None)


def before(base: Base, task: Task, text: Batches, device: torch.device) -> dict[str, Metric]:
    """Return the loss of the base as it was loaded; it stands on `device`, in evaluation mode."""
    module: TaskModule[Any] = tasks.build(task, base.model, Full(), _never)
    module.eval().to(device)
    return after(module, task, text)


def after(module: TaskModule[Any], task: Task, text: Batches) -> dict[str, Metric]:
    """Return the loss of a model, its method's part included."""
    scores = LanguageModelScores(of_bytes=task.name != MASKED_LM.name)
    return evaluated(module, text, scores)


def _rows(wanted: ForgettingConfig) -> Sequence[Row]:
    bad = BadRows("skip")
    rows = read_source(wanted.source)["train"]
    return list(map_rows(rows, {"text": wanted.column}, RunningText.roles, bad))


def _never(groups: list[dict[str, Any]]) -> tuple[torch.optim.Optimizer, Any]:
    raise AssertionError("nothing trains here")
