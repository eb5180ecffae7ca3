"""Base class of speedups, and what they may depend on."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch

from ftlab.config.run_config import RunConfig
from ftlab.core.batch import model_inputs
from ftlab.core.callback import RunCallback
from ftlab.data.base import DataModule
from ftlab.data.build import RunData
from ftlab.models.devices import Devices
from ftlab.models.frozen_prefix import Inputs
from ftlab.tasks.base import TaskModule


class Speedup(RunCallback):
    """Callback that makes training faster and leaves its results as they are; see `ftlab.train.speedups`.

    It changes the model when training starts, and restores it when training ends. The module of a speedup has a
    function `build(training, earlier)`, which returns the callback, or None if the speedup is switched off, would
    change a result, or has nothing left to do beside the `earlier` ones.

    Attributes:
        replaces_frozen_layers: whether layers that have nothing to train no longer run in training.
    """

    replaces_frozen_layers: ClassVar[bool] = False


@dataclass(frozen=True, kw_only=True)
class ReadyTraining:
    """A training that is ready to begin.

    Attributes:
        config: of the run; `config.speed` has the switches.
        devices: of the run.
        module: the task module, on the CPU.
        datamodule: tokenized, with its batch range set.
        directory: of the run, for temporary files.
        steps: optimizer steps of the whole run; None: the budget is in seconds.
        validations: number of validations of the whole run.
        log: prints a line of the run's log.
    """

    config: RunConfig
    devices: Devices
    module: TaskModule[Any]
    datamodule: RunData
    directory: Path
    steps: int | None
    validations: int
    log: Callable[[str], None]

    def half_padded_batch(self) -> Inputs:
        """Return a few rows, the first of which is cut to half its length, so that the batch contains padding."""
        assert isinstance(self.datamodule, DataModule)
        inputs = model_inputs(self.datamodule.probe_batch())
        tokens = inputs["attention_mask"].bool()[0].nonzero()[:, 0]
        left = self.datamodule.task_for_model.padding_side == "left"
        removed = tokens[: len(tokens) // 2] if left else tokens[(len(tokens) + 1) // 2 :]
        pad = getattr(self.module.model.config, "pad_token_id", None)
        return {
            name: value.index_put((torch.tensor(0), removed), torch.tensor((pad or 0) if name == "input_ids" else 0))
            for name, value in inputs.items()
        }
