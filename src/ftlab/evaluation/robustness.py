"""Robustness evaluation of the trained model, on the same rows and texts for every method and seed."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import nn
from torch.distributed.tensor import DTensor
from transformers import PreTrainedTokenizerBase

from ftlab.config.robustness import RobustnessConfig
from ftlab.config.run_config import RunConfig
from ftlab.config.task import Task
from ftlab.core.batch import model_inputs
from ftlab.core.callback import RunCallback, run_stages
from ftlab.core.run_stage import Stage, StageTracker
from ftlab.data.base import DataModule
from ftlab.data.rows.row import Row
from ftlab.evaluation import breakdown, forgetting
from ftlab.evaluation.batches import Batches, evaluate_batches, evenly_spaced
from ftlab.evaluation.overfitting import compare_losses, fit_warning
from ftlab.evaluation.perturbations import perturb
from ftlab.evaluation.robustness_inputs import RobustnessInputs
from ftlab.methods.base import TuningMethod
from ftlab.models import Base
from ftlab.models.devices import Devices
from ftlab.models.frozen_prefix import eval_mode
from ftlab.record import Check, Fit, Forgetting, Metric, Perturbed, Robustness, Slice
from ftlab.tasks.base import TaskModule

_METRICS = ("loss", "calibration_error")  # of perturbed rows, in addition to the headline metrics
_SLICE, _NO_VALUE = "slice", "(none)"


class RobustnessEvaluation(RunCallback):
    """Callback that evaluates robustness after the test. All ranks evaluate every row, as in the test."""

    def __init__(
        self, settings: RobustnessConfig, datamodule: DataModule, method: TuningMethod, inputs: RobustnessInputs
    ) -> None:
        """Take the inputs prepared before training."""
        self._result: Robustness | None = None
        self._checks: dict[str, Check] = {}
        self._warnings: list[str] = []
        self._settings = settings
        self._datamodule = datamodule
        self._method = method
        self._inputs = inputs
        self._stages = StageTracker()  # that of the run, from the test on

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Evaluate the module, which has its best weights and is in evaluation mode."""
        assert isinstance(pl_module, TaskModule)
        began, inputs, self._stages = time.perf_counter(), self._inputs, run_stages(trainer)
        train = self._train_sample(pl_module)
        with self._stages.within(Stage.ROBUSTNESS, inputs.num_batches + (len(train) if train else 0)):
            with trainer.precision_plugin.forward_context():  # as in the test
                unperturbed = self._evaluate(pl_module, inputs.unperturbed) if inputs.unperturbed else {}
                perturbations = {
                    name: self._evaluate_perturbation(pl_module, *perturbed, unperturbed)
                    for name, perturbed in inputs.perturbed.items()
                }
                fit = self._compare_losses(trainer, pl_module, train) if train else None
            forgotten = self._measure_forgetting(pl_module)  # outside the context, as for the base
            self._check_base(pl_module)
        class_scores, num_classes_left_out = breakdown.per_class_scores(
            pl_module.predictions, pl_module.task, self._settings.classes
        )
        slices, num_slices_left_out = self._slices(pl_module)
        self._result = Robustness(
            seconds=time.perf_counter() - began + inputs.seconds,
            rows=len(inputs.unperturbed.examples) if inputs.unperturbed else 0,
            untouched=_select_metrics(unperturbed, pl_module.task),
            perturbations=perturbations,
            classes=class_scores,
            classes_left_out=num_classes_left_out,
            slices=slices,
            slices_left_out=num_slices_left_out,
            reliability=breakdown.reliability_diagram(pl_module.predictions, pl_module.task) if class_scores else [],
            forgetting=forgotten,
            fit=fit,
        )

    def record_fields(self, trainer: Trainer) -> dict[str, Any]:
        """Return the result of the evaluation, the check of the base, and warnings for readers of the results."""
        return {"robustness": self._result, "checks": self._checks, "warnings": self._warnings}

    def _evaluate(self, module: TaskModule[Any], batches: Batches) -> dict[str, Metric]:
        return evaluate_batches(module, batches, advance=self._stages.advance)

    def _evaluate_perturbation(
        self,
        module: TaskModule[Any],
        batches: Batches,
        changed_texts: float,
        changed_tokens: float,
        unperturbed: dict[str, Metric],
    ) -> Perturbed:
        metrics = self._evaluate(module, batches) if changed_tokens else unperturbed
        drop = {}
        for column in module.task.columns:
            before, after = unperturbed[column.metric].value, metrics[column.metric].value
            if before is not None and after is not None:
                drop[column.metric] = before - after if column.higher_is_better else after - before
        selected = _select_metrics(metrics, module.task)
        return Perturbed(changed=changed_texts, seen=changed_tokens, metrics=selected, drop=drop)

    def _train_sample(self, module: TaskModule[Any]) -> Batches | None:
        if not (self._settings.rows and module.trainable):
            return None
        examples = evenly_spaced(self._datamodule.examples("train"), self._settings.rows)  # tokenized already
        batch_size = self._datamodule.loading.eval_batch_size
        return Batches(examples, self._inputs.collate, batch_size, self._inputs.masking)

    def _compare_losses(self, trainer: Trainer, module: TaskModule[Any], train: Batches) -> Fit:
        fit = compare_losses(
            self._evaluate(module, train)["loss"],
            module.results["val"]["loss"],
            train_rows=len(train.examples),
            val_rows=self._datamodule.rows["val"],
            reference=module.reference_loss(),
        )
        if warning := fit_warning(fit, trainer.global_step):
            self._warnings.append(warning)
        return fit

    def _measure_forgetting(self, module: TaskModule[Any]) -> Forgetting | None:
        if self._inputs.general_text is None:
            return None
        text, before = self._inputs.general_text
        return Forgetting(
            source=self._settings.forgetting.source["_target_"],
            rows=len(text.examples),
            before=before,
            after=forgetting.evaluate_module(module, module.task, text, advance=self._stages.advance),
        )

    def _check_base(self, module: TaskModule[Any]) -> None:
        sharded = any(isinstance(parameter, DTensor) for parameter in module.model.parameters())
        if self._inputs.base_logits is None or sharded:
            return
        batch, expected = self._inputs.base_logits
        logits = self._method.reference_logits(module.model, model_inputs(batch, module.device))
        if logits is None:
            return
        difference = (logits.cpu() - expected).abs().max().item()
        self._checks["adapter_off"] = Check(
            status="passed" if torch.equal(logits.cpu(), expected) else "failed",
            detail=f"largest difference of a logit between the base and the model without its adapter: {difference:g}",
        )

    def _slices(self, module: TaskModule[Any]) -> tuple[list[Slice], int]:
        limit, inputs = self._settings.slices, self._inputs
        if not limit:
            return [], 0
        lengths: Sequence[int] = inputs.lengths
        if self._datamodule.kind.generates:
            lengths = self._datamodule.token_counts("test")[0].tolist()
        slices: list[Slice] = []
        if len(lengths):
            slices = breakdown.slices_by_length(module.predictions, module.task, lengths, inputs.unit)
        if not inputs.slice_values:
            return slices, 0
        column_slices, num_left_out = breakdown.slices_by_column(
            module.predictions, module.task, inputs.slice_values, inputs.slice_column, limit
        )
        return slices + column_slices, num_left_out


def build_robustness_evaluation(
    config: RunConfig, datamodule: DataModule, base: Base, method: TuningMethod, task: Task, devices: Devices
) -> RobustnessEvaluation | None:
    """Return the callback, or None if nothing is to be evaluated.

    The base must be unmodified, and stays so. No random number is drawn here: training is the same with and without it.

    Raises:
        UserError: the general text cannot be used.
    """
    settings = config.robustness
    if not (settings.rows or settings.classes or settings.slices or settings.checks or settings.forgetting.rows):
        return None
    began = time.perf_counter()
    inputs = RobustnessInputs(datamodule.collate, datamodule.masking)
    if settings.rows and task.labels:  # in language modelling, perturbing the text changes the target too
        _add_perturbed_rows(inputs, settings, datamodule, base.tokenizer)
    if task.labels and settings.slices:
        _add_slices(inputs, datamodule)
    if settings.checks or settings.forgetting.rows:
        _measure_base(inputs, config, datamodule, base, task, devices)
    inputs.seconds = time.perf_counter() - began
    return RobustnessEvaluation(settings, datamodule, method, inputs)


def _add_perturbed_rows(
    inputs: RobustnessInputs, settings: RobustnessConfig, datamodule: DataModule, tokenizer: PreTrainedTokenizerBase
) -> None:
    sample = evenly_spaced(datamodule.splits["test"], settings.rows)

    def batches(rows: Sequence[Row]) -> Batches:
        return Batches(datamodule.encode(tokenizer, rows).examples, inputs.collate, datamodule.loading.eval_batch_size)

    inputs.unperturbed = unperturbed = batches(sample)
    for name in settings.perturbations:
        rows = [_perturb_row(row, datamodule, name) for row in sample]
        changed_texts = sum(row is not original for row, original in zip(rows, sample, strict=True)) / len(sample)
        if changed_texts:
            perturbed = batches(rows)
            pairs = zip(perturbed.examples, unperturbed.examples, strict=True)
            differing = sum(not np.array_equal(example.input_ids, original.input_ids) for example, original in pairs)
            inputs.perturbed[name] = perturbed, changed_texts, differing / len(sample)


def _perturb_row(row: Row, datamodule: DataModule, name: str) -> Row:
    """Return the row with its texts perturbed; the identical object if nothing changes."""
    values = {role: row.values[role] for role in datamodule.kind.roles.inputs if row.values.get(role)}
    changed = {role: text for role, value in values.items() if (text := perturb(value, name)) not in (None, value)}
    return Row({**row.values, **changed}, row.where) if changed else row


def _add_slices(inputs: RobustnessInputs, datamodule: DataModule) -> None:
    test, roles = datamodule.splits["test"], datamodule.kind.roles
    inputs.unit = "words" if roles.lists else "characters"
    inputs.lengths = [sum(len(row.values.get(role) or "") for role in roles.inputs) for row in test]
    if _SLICE in datamodule.origin.columns:
        inputs.slice_column = str(datamodule.origin.columns[_SLICE])
        inputs.slice_values = [str(row.values.get(_SLICE) or "").strip() or _NO_VALUE for row in test]


@torch.no_grad()
def _measure_base(
    inputs: RobustnessInputs, config: RunConfig, datamodule: DataModule, base: Base, task: Task, devices: Devices
) -> None:
    """Measure the base before the method changes it, on the device and in the dtypes of the later evaluation."""
    model: nn.Module = base.model
    quantised = bool(getattr(model, "is_quantized", False))
    device = torch.device("cpu") if quantised else devices.device
    if device.type != "cpu":
        model.to(device)
    # Quantised weights use other kernels on a GPU, and PEFT casts the half-precision weights around them to fp32.
    comparable = not quantised or (devices.accelerator == "cpu" and config.model.dtype == "float32")
    with eval_mode(model):
        if config.robustness.checks and comparable:
            batch = datamodule.probe_batch()
            inputs.base_logits = batch, model(**model_inputs(batch, device)).logits.cpu()
        if config.robustness.forgetting.rows and forgetting.predicts_running_text(task):
            text = forgetting.general_text_batches(config, base.tokenizer, task)
            inputs.general_text = text, forgetting.evaluate_base(base, task, text, device)
    if device.type != "cpu":
        model.to("cpu")
        if device.type == "cuda":
            torch.cuda.empty_cache()


def _select_metrics(metrics: dict[str, Metric], task: Task) -> dict[str, Metric]:
    selected = {*_METRICS, *(column.metric for column in task.columns)}
    return {name: metric for name, metric in metrics.items() if name in selected}
