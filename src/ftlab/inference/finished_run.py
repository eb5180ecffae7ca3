"""Finished run, loaded from its folder: record, configuration, task, and the trained model."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import nn

from ftlab import methods, models
from ftlab.config.groups import ModelConfig, QuantConfig
from ftlab.config.kinds import kind_named
from ftlab.config.run_config import RunConfig
from ftlab.config.task import Task, mixture_task
from ftlab.config.task_kind import TaskKind
from ftlab.core.errors import UserError
from ftlab.core.import_path import search_cwd_last
from ftlab.data.prompting import demonstrations
from ftlab.inference.trust import recorded_config, require_harmless
from ftlab.methods.base import TuningMethod
from ftlab.models import Base
from ftlab.models.resolve import resolve_model
from ftlab.record import Data, MixturePart, RunRecord, read_record, run_folder
from ftlab.record.folder import ADAPTER


@dataclass(frozen=True)
class FinishedRun:
    """A completed run. Its training data is not needed.

    Attributes:
        directory: its folder.
        record: its record.json.
        config: its configuration.
        method: its tuning method.
    """

    directory: Path
    record: RunRecord
    config: RunConfig
    method: TuningMethod

    @property
    def adapter_dir(self) -> Path:
        """Folder with the trained weights."""
        return self.directory / ADAPTER

    @cached_property
    def model_config(self) -> ModelConfig:
        """Configuration of the base model.

        A model from the hub is pinned to the revision that the run used. A folder that the run named by a relative path
        is looked for in the working directory, in the run's own, and above the run's folder.

        Raises:
            UserError: there is no such folder.
        """
        identity = self.record.base_model or {}
        if identity.get("source") == "hub":
            return self.config.model.model_copy(update={"revision": identity["revision"]})
        path = Path(self.config.model.reference).expanduser()
        if identity.get("source") != "directory" or path.is_absolute():
            return self.config.model
        folder = self._base_folder(path, str(identity.get("sha256")))
        return self.config.model if folder == path else self.config.model.model_copy(update={"id": str(folder)})

    def _base_folder(self, path: Path, sha256: str) -> Path:
        run = self.directory.resolve()
        recorded = [Path(os.path.normpath(run / self.record.base_folder))] if self.record.base_folder else []
        candidates = list(dict.fromkeys([path, *recorded, *(folder / path for folder in run.parents)]))
        folders = [folder for folder in candidates if (folder / "config.json").is_file()]
        for folder in folders:
            model = self.config.model.model_copy(update={"id": str(folder)})
            with suppress(UserError):  # a folder of this name without weights
                if resolve_model(model).identity["sha256"] == sha256:
                    return folder
        if folders:
            return folders[0]  # `load_base` refuses it: its weights have changed
        raise UserError(
            f"{self.directory} was trained on model={self.config.model.name}, a folder relative to where the run was "
            f"started, and there is no {' and no '.join(str(folder.absolute()) for folder in [path, *recorded])}: put "
            f"the model there, or give the command in the folder that has {path}."
        )

    @cached_property
    def task(self) -> Task:
        """The task as adapted to the architecture and by the method."""
        assert self.record.data is not None
        data = self.record.data
        if data.parts:
            parts = {name: _task(kind_named(part.task), part) for name, part in data.parts.items()}
            task = mixture_task(self.config.dataset.kind, parts)
        else:
            task = _task(self.config.dataset.kind, data)
        return self.method.pose_task(task, models.architecture(self.model_config), self.config.loss)

    @cached_property
    def demonstrations(self) -> list[dict[str, str]] | None:
        """The solved examples before each question; None if the method has none.

        Raises:
            DataError: their file is missing or unreadable.
        """
        return demonstrations.load(self.adapter_dir) if self.task.shots else None

    def load_base(self, quant: QuantConfig | None = None) -> Base:
        """Load the base model.

        Args:
            quant: quantisation of its weights; None: as in the run.

        Raises:
            UserError: it is not available, or its weights differ from those that the run used.
        """
        identity = self.record.base_model or {}
        sha256 = resolve_model(self.model_config).identity["sha256"]
        if sha256 != identity.get("sha256"):
            raise UserError(
                f"the weights of model={self.config.model.name} differ from those that {self.directory} was trained on "
                f"(sha256 {sha256[:12]}… now, {str(identity.get('sha256'))[:12]}… then), so they do not fit the "
                "trained ones: restore the old base weights, or run it again."
            )
        return models.load_base_model(self.model_config, self.task, quant or self.config.quant)

    def restore_model(self, base: Base) -> nn.Module:
        """Load the trained weights into the base, which is changed in place; return the model in evaluation mode."""
        return self.method.restore(base, self.task, self.adapter_dir).eval()


def _task(kind: TaskKind, data: Data | MixturePart) -> Task:
    return Task.of(
        kind,
        labels=tuple(data.labels),
        target_means=tuple(data.target_means),
        target_scales=tuple(data.target_scales),
    )


def read_run(directory: Path, *, trust: bool = False, kinds: Sequence[str] = ()) -> FinishedRun:
    """Return the run in a folder.

    Args:
        directory: the run's own folder.
        trust: whether to run code that the folder names and that belongs to neither ftlab nor PEFT. Its modules are
            also searched in the working directory, as in training.
        kinds: modules or files with task kinds, instead of those that the folder names, which may have moved.

    Raises:
        UserError: there is no run, it did not complete, or it needs `trust`.
    """
    record = read_record(run_folder(directory))
    if record.status != "completed":
        if record.failure and record.failure.type == "ReloadFailed":
            raise UserError(f"{directory} has saved weights that do not restore the trained model: give another run.")
        if record.status == "running":
            remedy = "wait for its end"
        elif record.role == "trial":
            remedy = "give a run of its sweep"
        else:
            remedy = f"ftlab rerun {directory} runs it to its end"
        raise UserError(f"{directory} is {record.status}, not completed: it has no model; {remedy}.")
    config = _with_columns(recorded_config(record.config, directory, trust=trust, kinds=kinds), record)
    if not list((directory / ADAPTER).glob("*.safetensors")) and record.trainable:
        raise UserError(f"{directory / ADAPTER} has no safetensors: the trained weights are missing; run it again.")
    if not trust:
        require_harmless(config, directory / ADAPTER)
    else:
        search_cwd_last()
    return FinishedRun(directory, record, config, methods.build_method(config.method))


def _with_columns(config: RunConfig, record: RunRecord) -> RunConfig:
    """Return the configuration with the columns that the run read, including detected ones."""
    columns = record.data.columns if record.data else {}
    dataset = config.dataset.model_copy(update={"columns": {**config.dataset.columns, **columns}})
    return config.model_copy(update={"dataset": dataset})
