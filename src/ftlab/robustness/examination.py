"""Examines the trained model after its test: the same rows and texts for every method and seed."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn
from torch.distributed.tensor import DTensor
from transformers import PreTrainedTokenizerBase

from ftlab.data.answered import AnsweredData
from ftlab.data.base import DataModule
from ftlab.data.collate import Collate, inputs_of
from ftlab.data.masking import Masking
from ftlab.data.rows import Row
from ftlab.methods.base import Batch, TuningMethod
from ftlab.models import Base
from ftlab.models.trunk import evaluating
from ftlab.record import Check, Fit, Forgetting, Metric, Perturbed, Robustness, Slice
from ftlab.robustness import breakdown, forgetting
from ftlab.robustness.fit import fit, sentence
from ftlab.robustness.perturbations import perturbed
from ftlab.robustness.sample import Batches, evaluated, spread
from ftlab.schema import RunConfig
from ftlab.tasks.base import TaskModule
from ftlab.tasks.spec import Task
from ftlab.trainer import accelerator

_KEPT = ("loss", "calibration_error")  # metrics of perturbed rows, beside the headline ones
_SLICE, _NO_VALUE = "slice", "(none)"


@dataclass
class Prepared:
    """What has to be made while rows and untouched base are at hand.

    Attributes:
        collate: makes batches.
        masking: for masked language models.
        untouched: a sample of the test rows.
        changed: perturbation -> the same rows, and the shares of them whose text and whose tokens are others.
        lengths: of each test row, in `unit`; empty: the batches tell.
        unit: in which lengths are counted.
        values: of the column to slice by, for each test row.
        column: its name.
        probe: one batch, and the base's logits for it; None: not to be checked.
        general: text of which a language model forgets, and its loss before training.
        seconds: that preparing took.
    """

    collate: Collate
    masking: Masking | None
    untouched: Batches | None = None
    changed: dict[str, tuple[Batches, float, float]] = field(default_factory=dict)
    lengths: list[int] = field(default_factory=list)
    unit: str = "tokens"
    values: list[str] = field(default_factory=list)
    column: str = _SLICE
    probe: tuple[Batch, torch.Tensor] | None = None
    general: tuple[Batches, dict[str, Metric]] | None = None
    seconds: float = 0.0


class Examination(Callback):
    """Comes after the cost meter in the list of callbacks: its time is in no cost but its own.

    All ranks examine every row, as all evaluate every row.

    Attributes:
        found: what came out; null until the test is over.
        checks: beside those of training.
        warnings: sentences that a reader of the results should see.
    """

    def __init__(self, config: RunConfig, rows: DataModule, method: TuningMethod, prepared: Prepared) -> None:
        """Take what was prepared before training."""
        self.found: Robustness | None = None
        self.checks: dict[str, Check] = {}
        self.warnings: list[str] = []
        self._config = config
        self._rows = rows
        self._method = method
        self._prepared = prepared

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Examine; the module has its best weights and is in evaluation mode."""
        assert isinstance(pl_module, TaskModule)
        began, prepared = time.perf_counter(), self._prepared
        with trainer.precision_plugin.forward_context():  # as in the test
            untouched = evaluated(pl_module, prepared.untouched) if prepared.untouched else {}
            changed = {
                name: self._perturbed(pl_module, *changed, untouched) for name, changed in prepared.changed.items()
            }
            fitted = self._fit(trainer, pl_module)
        after = self._forgotten(pl_module)  # not in the context: as the base was measured before
        self._check_base(pl_module)
        listed, omitted = breakdown.classes(pl_module.predictions, pl_module.task, self._config.robustness.classes)
        slices, rare = self._slices(pl_module)
        self.found = Robustness(
            seconds=time.perf_counter() - began + prepared.seconds,
            rows=len(prepared.untouched.examples) if prepared.untouched else 0,
            untouched=_headline(untouched, pl_module.task),
            perturbations=changed,
            classes=listed,
            classes_left_out=omitted,
            slices=slices,
            slices_left_out=rare,
            reliability=breakdown.reliability(pl_module.predictions, pl_module.task) if listed else [],
            forgetting=after,
            fit=fitted,
        )

    def _perturbed(
        self, module: TaskModule[Any], batches: Batches, changed: float, seen: float, untouched: dict[str, Metric]
    ) -> Perturbed:
        metrics = evaluated(module, batches) if seen else untouched
        drop = {}
        for column in module.task.columns:
            one, other = untouched[column.metric].value, metrics[column.metric].value
            if one is not None and other is not None:
                drop[column.metric] = one - other if column.higher_is_better else other - one
        return Perturbed(changed=changed, seen=seen, metrics=_headline(metrics, module.task), drop=drop)

    def _fit(self, trainer: Trainer, module: TaskModule[Any]) -> Fit | None:
        most = self._config.robustness.rows
        if not most or not module.trainable:
            return None
        # what the training loader reads, which is tokenized already
        examples = spread(self._rows.examples("train"), most)
        size, prepared = self._config.hardware.eval_batch_size, self._prepared
        found = fit(
            evaluated(module, Batches(examples, prepared.collate, size, prepared.masking))["loss"],
            module.results["val"]["loss"],
            train_rows=len(examples),
            val_rows=self._rows.rows["val"],
            task=module.task,
        )
        if told := sentence(found, trainer.global_step):
            self.warnings.append(told)
        return found

    def _forgotten(self, module: TaskModule[Any]) -> Forgetting | None:
        if self._prepared.general is None:
            return None
        text, before = self._prepared.general
        return Forgetting(
            source=self._config.robustness.forgetting.source["_target_"],
            rows=len(text.examples),
            before=before,
            after=forgetting.after(module, module.task, text),
        )

    def _check_base(self, module: TaskModule[Any]) -> None:
        if self._prepared.probe is None or any(isinstance(one, DTensor) for one in module.model.parameters()):
            return
        batch, expected = self._prepared.probe
        logits = self._method.bare(module.model, inputs_of(batch, module.device))
        if logits is None:
            return
        difference = (logits.cpu() - expected).abs().max().item()
        self.checks["adapter_off"] = Check(
            status="passed" if torch.equal(logits.cpu(), expected) else "failed",
            detail=f"largest difference of a logit between the base and the model without its adapter: {difference:g}",
        )

    def _slices(self, module: TaskModule[Any]) -> tuple[list[Slice], int]:
        most, prepared = self._config.robustness.slices, self._prepared
        if not most:
            return [], 0
        lengths: Sequence[int] = prepared.lengths
        if isinstance(self._rows, AnsweredData):
            lengths = self._rows.counts("test")[0].tolist()
        slices = breakdown.by_length(module.predictions, module.task, lengths, prepared.unit) if len(lengths) else []
        if not prepared.values:
            return slices, 0
        named, rare = breakdown.by_column(module.predictions, module.task, prepared.values, prepared.column, most)
        return slices + named, rare


def examining(config: RunConfig, rows: DataModule, base: Base, method: TuningMethod, task: Task) -> list[Examination]:
    """Return the callback that examines, or none; the base is as it was loaded, and is left as it is.

    Nothing here draws a random number: training is the same with and without it.

    Raises:
        UserError: the general text that is asked for cannot be used.
    """
    wanted = config.robustness
    if not (wanted.rows or wanted.classes or wanted.slices or wanted.checks or wanted.forgetting.rows):
        return []
    began = time.perf_counter()
    prepared = Prepared(rows.collate, rows.masking)
    if wanted.rows and task.labels:  # of running text a changed one is another one to predict
        _perturb(prepared, config, rows, base.tokenizer)
    if task.labels and wanted.slices:
        _note_slices(prepared, rows)
    if wanted.checks or wanted.forgetting.rows:
        _measure_base(prepared, config, rows, base, task)
    prepared.seconds = time.perf_counter() - began
    return [Examination(config, rows, method, prepared)]


def _perturb(prepared: Prepared, config: RunConfig, rows: DataModule, tokenizer: PreTrainedTokenizerBase) -> None:
    sample = spread(rows.splits["test"], config.robustness.rows)

    def batches(of: Sequence[Row]) -> Batches:
        return Batches(rows.encode(tokenizer, of).examples, prepared.collate, config.hardware.eval_batch_size)

    prepared.untouched = untouched = batches(sample)
    for name in config.robustness.perturbations:
        changed = [_changed(row, rows, name) for row in sample]
        share = sum(one is not row for one, row in zip(changed, sample, strict=True)) / len(sample)
        if share:
            others = batches(changed)
            pairs = zip(others.examples, untouched.examples, strict=True)
            seen = sum(not np.array_equal(one.input_ids, other.input_ids) for one, other in pairs) / len(sample)
            prepared.changed[name] = others, share, seen


def _changed(row: Row, rows: DataModule, name: str) -> Row:
    """Return the row with its texts perturbed; the very same row where that changes nothing."""
    given = {role: row.values[role] for role in rows.roles.given if row.values.get(role)}
    texts = {role: text for role, value in given.items() if (text := perturbed(value, name)) not in (None, value)}
    return Row({**row.values, **texts}, row.where) if texts else row


def _note_slices(prepared: Prepared, rows: DataModule) -> None:
    test = rows.splits["test"]
    words = bool(rows.roles.lists)
    prepared.unit = "words" if words else "characters"
    prepared.lengths = [sum(len(row.values.get(role) or "") for role in rows.roles.given) for row in test]
    if _SLICE in rows.origin.columns:
        prepared.column = str(rows.origin.columns[_SLICE])
        prepared.values = [str(row.values.get(_SLICE) or "").strip() or _NO_VALUE for row in test]


@torch.no_grad()
def _measure_base(prepared: Prepared, config: RunConfig, rows: DataModule, base: Base, task: Task) -> None:
    """Measure the base before anything is added to it, where it will be measured again and in the same types."""
    kind = accelerator(config.hardware)
    model: nn.Module = base.model
    names = {"gpu": f"cuda:{os.environ.get('LOCAL_RANK', '0')}"}
    quantised = bool(getattr(model, "is_quantized", False))
    device = torch.device("cpu" if quantised else names.get(kind, kind))
    if device.type != "cpu":
        model.to(device)
    # quantised weights compute by other kernels on a GPU, and PEFT turns those of half precision around them into fp32
    alike = not quantised or (kind == "cpu" and config.model.dtype == "float32")
    with evaluating(model):
        if config.robustness.checks and alike:
            batch = rows.probe_batch()
            prepared.probe = batch, model(**inputs_of(batch, device)).logits.cpu()
        if config.robustness.forgetting.rows and forgetting.can_forget(task):
            text = forgetting.general_text(config, base.tokenizer, task)
            prepared.general = text, forgetting.before(base, task, text, device)
    if device.type != "cpu":
        model.to("cpu")
        if device.type == "cuda":
            torch.cuda.empty_cache()


def _headline(metrics: dict[str, Metric], task: Task) -> dict[str, Metric]:
    shown = {*_KEPT, *(column.metric for column in task.columns)}
    return {name: metric for name, metric in metrics.items() if name in shown}
