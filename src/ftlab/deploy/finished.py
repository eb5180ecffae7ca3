"""A finished run, put back together from its folder."""

import os
import sys
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from torch import nn

from ftlab import methods, models
from ftlab.artifacts import ADAPTER
from ftlab.deploy.trust import require_harmless
from ftlab.errors import UserError
from ftlab.groups import ModelConfig, QuantConfig
from ftlab.methods.base import TuningMethod
from ftlab.models import Base
from ftlab.models.source import resolve
from ftlab.record import FILE_NAME, Data, Part, RunRecord, read_record
from ftlab.schema import RunConfig, validate
from ftlab.tasks.spec import TASKS, Task, mixture


@dataclass(frozen=True)
class Finished:
    """A completed run. The data it was trained on need not be there.

    Attributes:
        directory: its folder.
        record: what it wrote of itself.
        config: its configuration.
        method: its tuning method.
    """

    directory: Path
    record: RunRecord
    config: RunConfig
    method: TuningMethod

    @property
    def adapter(self) -> Path:
        """The folder with what the run trained."""
        return self.directory / ADAPTER

    @property
    def model_config(self) -> ModelConfig:
        """The base model; one from the hub in the revision that the run had."""
        was = self.record.base_model or {}
        if was.get("source") != "hub":
            return self.config.model
        return self.config.model.model_copy(update={"revision": was["revision"]})

    @cached_property
    def task(self) -> Task:
        """The task as the method poses it."""
        assert self.record.data is not None
        data = self.record.data
        if data.parts:
            task = mixture({name: _task(part.task, part) for name, part in data.parts.items()})
        else:
            task = _task(self.config.dataset.task, data)
        architecture = models.architecture(self.model_config)
        return self.method.adapt_task(task.on(architecture), architecture)

    def base(self, quant: QuantConfig | None = None) -> Base:
        """Load the base model.

        Args:
            quant: how its weights are held; None: as in the run.

        Raises:
            UserError: it cannot be reached, or its weights are not those that the run had.
        """
        was = self.record.base_model or {}
        found = resolve(self.model_config).identity["sha256"]
        if found != was.get("sha256"):
            raise UserError(
                f"the weights of model={self.config.model.name} are not those that {self.directory} was trained on "
                f"(sha256 {found[:12]}… now, {str(was.get('sha256'))[:12]}… then): what was trained does not belong to "
                "them; put the old ones back, or run it again."
            )
        return models.load(self.model_config, self.task, quant or self.config.quant)

    def restored(self, base: Base) -> nn.Module:
        """Put what the run trained on its base, in evaluation mode; the base is changed in place."""
        return self.method.restore(base, self.task, self.adapter).eval()


def _task(name: str, data: Data | Part) -> Task:
    return replace(
        TASKS[name].with_labels(tuple(data.labels)),
        target_means=tuple(data.target_means),
        target_scales=tuple(data.target_scales),
    )


def read_run(directory: Path, *, trust: bool = False) -> Finished:
    """Return the run in a folder.

    Args:
        directory: the run's own folder.
        trust: whether the folder may name code that is neither ours nor PEFT's, and it is run. Its modules are also
            looked for where the program was started, as when it trained.

    Raises:
        UserError: there is no run, it did not complete, or its folder asks for trust.
    """
    _hint_at_runs(directory)
    record = read_record(directory)
    if record.status != "completed":
        raise UserError(f"{directory} is {record.status}, not completed: it has no model yet; run it again.")
    config = _with_columns(validate(record.config), record)
    if not list((directory / ADAPTER).glob("*.safetensors")) and record.trainable:
        raise UserError(f"{directory / ADAPTER} holds no safetensors: what the run trained is gone; run it again.")
    if not trust:
        require_harmless(config, directory / ADAPTER)
    elif os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    return Finished(directory, record, config, methods.build(config.method))


def _with_columns(config: RunConfig, record: RunRecord) -> RunConfig:
    """Return the configuration with the columns that the run read, some of which it may have detected."""
    found = record.data.columns if record.data else {}
    dataset = config.dataset.model_copy(update={"columns": {**config.dataset.columns, **found}})
    return config.model_copy(update={"dataset": dataset})


def _hint_at_runs(directory: Path) -> None:
    if not (directory / FILE_NAME).exists():
        runs = sorted(path.parent for path in directory.glob(f"*/{FILE_NAME}"))
        if runs:
            raise UserError(f"{directory} is a sweep: give one of its runs, such as {runs[0]}.")
