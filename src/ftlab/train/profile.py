"""Cost estimate of a run, profiled on a few of its optimizer steps; for a process that does nothing else."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule, Trainer
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.data import DataLoader

from ftlab.config.robustness import RobustnessConfig
from ftlab.core.batch import Batch, micro_batches
from ftlab.core.callback import Phase, RunCallback
from ftlab.core.errors import UserError
from ftlab.data.base import DataModule
from ftlab.data.loading.sampler import BatchIndices
from ftlab.evaluation.batches import evenly_spaced
from ftlab.evaluation.forgetting import predicts_running_text
from ftlab.evaluation.generation import GenerationEvaluation
from ftlab.models.frozen_prefix import eval_mode
from ftlab.models.size import parameter_count
from ftlab.record import CostEstimate, MemoryEstimate
from ftlab.record.environment import this_process
from ftlab.tasks.base import TaskModule
from ftlab.train.callbacks.memory import PeakMemory
from ftlab.train.callbacks.training_check import TrainingCheck
from ftlab.train.length import TrainingLength
from ftlab.train.speedups import ReadyTraining, Speedup
from ftlab.train.trainer import build_trainer

_TIMED_STEPS = 8  # optimizer steps, of all lengths that occur in the run
_TIMED_BATCHES = 4  # of validation


def estimate_cost(
    training: ReadyTraining,
    length: TrainingLength,
    speedups: Sequence[Speedup],
    generation: GenerationEvaluation | None,
) -> CostEstimate:
    """Train a few steps as the run would, and estimate the cost of the whole run. The model is changed by this.

    The longest step comes first, as it decides the peak memory and a first step is slower than others, and once more
    at the end, as some methods train more parameters by then. The steps in between, of all lengths, are timed. What a
    run measures beside them, such as the tokens of each batch, is left out. Then some validation batches are timed.

    Args:
        training: ready to begin.
        length: of the whole run.
        speedups: of the run.
        generation: of the run.

    Raises:
        UserError: nothing trains.
    """
    config, module, datamodule = training.config, training.module, training.datamodule
    if not module.trainable:
        raise UserError(f"method={config.method.name} trains nothing, so there is nothing to plan: leave it out.")
    assert length.steps is not None  # a budget in seconds needs no estimate
    assert isinstance(datamodule, DataModule)  # mixtures are refused before
    loader = datamodule.train_dataloader()
    assert loader.sampler is not None
    all_batches = list(loader.sampler)
    split = datamodule.micro_batch_splitter()
    sizes = [[split.num_positions(micro_batch) for micro_batch in split(batch)] for batch in all_batches]
    chosen = select_probe_steps(all_batches, sizes, config.optim.accumulate)
    batches = [batch for step in chosen for batch in step]
    probe_length = TrainingLength(steps=len(chosen), batches=len(batches), validation_every=len(batches))
    setup_s = time.time() - this_process().started_at  # as in a run, up to its first step
    profiler = _StepProfiler(config.optim.accumulate, generation)
    trainer = build_trainer(
        training.devices,
        config.optim,
        probe_length,
        training.directory,
        callbacks=[profiler, *speedups, TrainingCheck(module.trainable), *module.method.callbacks()],
        loggers=[],
        find_unused_parameters=module.method.find_unused_parameters,
    )
    # the validation comes last and counts neither for the time of training nor for the peak
    trainer.fit(module, _loader(loader.dataset, batches), _loader(_validation_batches(datamodule)))
    assert profiler.memory is not None
    assert profiler.memory.baseline is not None
    first, *timed, last = np.diff(np.array([*profiler.starts, profiler.ended]), axis=0)  # wall-clock and CPU seconds
    seconds, cpu_seconds = length.steps * np.mean(timed, axis=0) + np.maximum(0.0, first - last)
    counts = parameter_count(module.model)
    reference = module.reference_model.weight_bytes if module.reference_model else 0
    weights = reference + _bytes([*module.model.parameters(), *module.model.buffers()])
    return CostEstimate(
        memory_bytes=MemoryEstimate(
            weights=weights,
            gradients=_bytes([parameter for parameter in module.model.parameters() if parameter.requires_grad]),
            optimizer=profiler.optimizer,
            activations=profiler.activations,
            baseline=max(0, profiler.memory.baseline - weights),
            peak=profiler.peak,
        ),
        train_s=float(seconds),
        train_cpu_s=float(cpu_seconds),
        trainable=counts.trainable,
        total=counts.total,
        optimizer_steps=length.steps,
        micro_batch_size=config.micro_batch_size,
        probe_steps=len(chosen),
        probe_s=profiler.ended[0] - profiler.starts[0][0],
        setup_s=setup_s,
        validation_s=length.validations * profiler.token_s * int(datamodule.token_counts("val")[0].sum()),
        test_s=profiler.token_s * _test_tokens(datamodule, config.robustness) + profiler.generation_s,
    )


def _validation_batches(datamodule: DataModule) -> list[Batch]:
    """Return a batch to warm up, and some that are evenly spaced over the validation rows."""
    loader, num_rows, size = datamodule.val_dataloader(), datamodule.rows["val"], datamodule.loading.eval_batch_size
    batches = [
        loader.collate_fn([loader.dataset[index] for index in range(start, min(start + size, num_rows))])
        for start in evenly_spaced(range(0, num_rows, size), _TIMED_BATCHES)
    ]
    return [batches[0], *batches]


def _test_tokens(datamodule: DataModule, robustness: RobustnessConfig) -> float:
    """Return how many tokens are evaluated after training: test rows, the same perturbed, and training rows.

    Perturbations that change no text are counted, though they are skipped.
    """
    tokens = float(datamodule.token_counts("test")[0].sum())
    sampled = min(robustness.rows, datamodule.rows["test"]) * tokens / datamodule.rows["test"]
    repeats = 1 + len(robustness.perturbations) if datamodule.task_for_model.labels else 0
    train = datamodule.token_counts("train")[0]
    fit = min(robustness.rows, len(train)) * float(train.mean())
    forgetting = (
        robustness.forgetting.rows * datamodule.max_length if predicts_running_text(datamodule.task_for_model) else 0
    )
    return tokens + repeats * sampled + fit + forgetting


def select_probe_steps(
    batches: list[BatchIndices], sizes: list[list[int]], accumulate: int
) -> list[list[BatchIndices]]:
    """Return the longest step, `_TIMED_STEPS` evenly spaced over the steps sorted by length, and the longest again.

    The longest step is the one with the largest forward pass, which decides the peak memory.

    Args:
        batches: of the run, in order.
        sizes: of each batch, the tokens of the smaller micro-batches that it is split into, padding included.
        accumulate: batches per step.
    """
    total, largest = (np.array(list(map(reduce, sizes))).reshape(-1, accumulate) for reduce in (sum, max))
    steps = [batches[first : first + accumulate] for first in range(0, len(batches), accumulate)]
    order = np.argsort(total.sum(1), kind="stable")
    evenly_spaced = ((np.arange(_TIMED_STEPS) + 0.5) * len(order) / _TIMED_STEPS).astype(int)
    longest = steps[int(np.lexsort((total.sum(1), largest.max(1)))[-1])]
    return [longest, *(steps[number] for number in order[evenly_spaced]), longest]


def saved_activation_bytes(module: TaskModule[Any], batch: Batch) -> int:
    """Return the bytes that a forward pass saves for the backward pass, without parameters and buffers."""
    weights = [*module.model.parameters(), *module.model.buffers()]
    weight_storages = {tensor.untyped_storage().data_ptr() for tensor in weights}
    saved: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weight_storages:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = module.loss(batch)
    del loss  # not earlier: while the graph holds the tensors, no address is used twice
    return sum(saved.values())


class _StepProfiler(RunCallback):
    """Records when each step started, the peak memory, and at the end the sizes of optimizer state and activations.

    Attributes:
        memory: measures that of the steps.
        peak: peak memory of the steps, in bytes.
        starts: start of each optimizer step, as wall-clock and CPU seconds.
        ended: end of the last one.
        optimizer: bytes of the optimizer state.
        activations: bytes that a forward pass of the largest micro-batch of the last, longest step saves.
        token_s: seconds of evaluation per token, padding included in the time alone.
        generation_s: seconds of all generated text, at its largest length.
    """

    phase = Phase.COST

    def __init__(self, accumulate: int, generation: GenerationEvaluation | None) -> None:
        self.memory: PeakMemory | None = None
        self.peak = 0
        self.starts: list[tuple[float, float]] = []
        self.ended = (0.0, 0.0)
        self.optimizer = 0
        self.activations = 0
        self.token_s = 0.0
        self.generation_s = 0.0
        self._generation = generation
        self._evaluated_at: list[float] = []  # start of each validation batch
        self._evaluated_tokens: list[int] = []
        self._accumulate = accumulate
        self._batches: list[Batch] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.memory = PeakMemory(pl_module.device)
        self.memory.start()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if batch_idx % self._accumulate == 0:
            self.starts.append(_now(pl_module.device))
            self._batches = []
        self._batches += micro_batches(batch)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.ended = _now(pl_module.device)
        assert self.memory is not None
        self.peak = self.memory.stop()

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self._evaluated_at.append(_now(pl_module.device)[0])
        self._evaluated_tokens.append(int(batch["attention_mask"].sum()))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        _, first, *_ = self._evaluated_at  # without the warm-up
        self.token_s = (_now(pl_module.device)[0] - first) / sum(self._evaluated_tokens[1:])

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, TaskModule)
        states = [state for optimizer in trainer.optimizers for state in optimizer.state.values()]
        tensors = [value for state in states for value in state.values() if isinstance(value, torch.Tensor)]
        self.optimizer = _bytes(tensors)
        pl_module.model.train()
        largest = max(self._batches, key=lambda batch: batch["input_ids"].numel())
        with trainer.precision_plugin.forward_context():
            self.activations = saved_activation_bytes(pl_module, largest)
        if self._generation is not None:
            with torch.inference_mode(), eval_mode(pl_module.model):
                self.generation_s = self._generation.predicted_seconds(trainer, pl_module.model)


def _now(device: torch.device) -> tuple[float, float]:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter(), time.process_time()


def _bytes(tensors: list[Any]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _loader(source: Any, sampler: list[BatchIndices] | None = None) -> DataLoader[Any]:
    return DataLoader(source, batch_size=None, sampler=sampler, generator=torch.Generator())
