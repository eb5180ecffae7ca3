"""What a run will take, from a few of its own optimizer steps; for a process that does nothing else."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.data import DataLoader

from ftlab.callbacks.cost import CostMeter
from ftlab.callbacks.sanity import TrainingCheck
from ftlab.data.base import DataModule
from ftlab.data.dealing import Dealt
from ftlab.data.pieces import Batch, in_pieces
from ftlab.errors import UserError
from ftlab.models.size import parameter_count
from ftlab.record import PredictedMemory, Prediction
from ftlab.schema import RunConfig
from ftlab.tasks.base import TaskModule
from ftlab.trainer import Plan, build_trainer

_TIMED = 8  # optimizer steps, of all lengths that the run has


def probe_steps(
    config: RunConfig,
    rows: DataModule,
    module: TaskModule[Any],
    length: Plan,
    directory: Path,
    standing_in: Sequence[Callback] = (),
) -> Prediction:
    """Train a few steps as the run would, and tell what all of it would take. The model is another one afterwards.

    The longest step comes first, since the peak of memory is its doing and a first step is slower than others, and
    last, since some methods train more parameters by then. In between are steps of every length, which are timed.

    Args:
        config: of the run.
        rows: tokenized, and dealt for the whole run.
        module: as training would begin with it.
        length: of the whole run.
        directory: for the trainer; a checkpoint may lie there afterwards.
        standing_in: what stands in for parts of the model as it trains.

    Raises:
        UserError: nothing trains.
    """
    if not module.trainable:
        raise UserError(f"method={config.method.name} trains nothing, so there is nothing to plan: leave it out.")
    assert length.steps is not None  # a budget in seconds needs no prediction
    loader = rows.train_dataloader()
    assert loader.sampler is not None
    dealt = list(loader.sampler)
    cut = rows.pieces()
    sizes = [[cut.positions(piece) for piece in cut(one)] for one in dealt]
    chosen = chosen_steps(dealt, sizes, config.optim.accumulate)
    batches = [dealt for step in chosen for dealt in step]
    short = Plan(steps=len(chosen), batches=len(batches), validation_every=len(batches))
    meter, watch = CostMeter(), _Watch(config.optim.accumulate)
    trainer = build_trainer(
        hardware=config.hardware,
        patience=None,
        optim=config.optim,
        task=module.task,
        plan=short,
        directory=directory,
        loggers=[],
        callbacks=[meter, TrainingCheck(module.trainable), watch, *standing_in, *module.method.callbacks()],
        skips_parameters=module.method.skips_parameters,
    )
    # a validation stands at the end, as the trainer wants one; it is in neither the time nor the peak
    trainer.fit(module, _loader(loader.dataset, batches), _loader([next(iter(rows.val_dataloader()))]))
    assert meter.memory is not None
    assert meter.memory.baseline is not None
    assert meter.peak_memory is not None
    first, *timed, last = np.diff(np.array([*watch.starts, watch.ended]), axis=0)  # seconds of clock and processor
    seconds, cpu_seconds = length.steps * np.mean(timed, axis=0) + np.maximum(0.0, first - last)
    counts = parameter_count(module.model)
    weights = _bytes([*module.model.parameters(), *module.model.buffers()])
    return Prediction(
        memory_bytes=PredictedMemory(
            weights=weights,
            gradients=_bytes([weight for weight in module.model.parameters() if weight.requires_grad]),
            optimizer=watch.optimizer,
            activations=watch.activations,
            baseline=max(0, meter.memory.baseline - weights),
            peak=meter.peak_memory,
        ),
        train_s=float(seconds),
        train_cpu_s=float(cpu_seconds),
        trainable=counts.trainable,
        total=counts.total,
        optimizer_steps=length.steps,
        micro_batch_size=config.micro_batch_size,
        probe_steps=len(chosen),
        probe_s=watch.ended[0] - watch.starts[0][0],
    )


def chosen_steps(dealt: list[Dealt], sizes: list[list[int]], accumulate: int) -> list[list[Dealt]]:
    """Return the longest step, some from the shortest to the longest at even distances, and the longest again.

    The longest is the one with the largest forward pass: in it memory is highest.

    Args:
        dealt: the micro-batches of the run, in order.
        sizes: of each, the tokens of its pieces, padding included.
        accumulate: micro-batches per step.
    """
    whole, largest = (np.array(list(map(of, sizes))).reshape(-1, accumulate) for of in (sum, max))
    steps = [dealt[first : first + accumulate] for first in range(0, len(dealt), accumulate)]
    order = np.argsort(whole.sum(1), kind="stable")
    places = ((np.arange(_TIMED) + 0.5) * len(order) / _TIMED).astype(int)
    longest = steps[int(np.lexsort((whole.sum(1), largest.max(1)))[-1])]
    return [longest, *(steps[number] for number in order[places]), longest]


def saved_bytes(module: TaskModule[Any], batch: Batch) -> int:
    """Return the bytes that a forward pass keeps for the backward one, beside parameters and buffers."""
    own = {tensor.untyped_storage().data_ptr() for tensor in [*module.model.parameters(), *module.model.buffers()]}
    kept: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with saved_tensors_hooks(note, lambda tensor: tensor):
        loss = module.loss(batch)
    del loss  # until here it kept them all, so that no address was used twice
    return sum(kept.values())


class _Watch(Callback):
    """Notes when each step began, and at the end what cannot be seen from outside.

    Attributes:
        starts: of each optimizer step, in seconds of the clock and of the processor.
        ended: when the last one was done.
        optimizer: bytes of its state.
        activations: bytes that the forward pass of the last, longest step's largest micro-batch keeps.
    """

    def __init__(self, accumulate: int) -> None:
        self.starts: list[tuple[float, float]] = []
        self.ended = (0.0, 0.0)
        self.optimizer = 0
        self.activations = 0
        self._accumulate = accumulate
        self._batches: list[Batch] = []

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if batch_idx % self._accumulate == 0:
            self.starts.append(_now(pl_module.device))
            self._batches = []
        self._batches += in_pieces(batch)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.ended = _now(pl_module.device)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, TaskModule)
        states = [state for optimizer in trainer.optimizers for state in optimizer.state.values()]
        tensors = [value for state in states for value in state.values() if isinstance(value, torch.Tensor)]
        self.optimizer = _bytes(tensors)
        pl_module.model.train()
        largest = max(self._batches, key=lambda batch: batch["input_ids"].numel())
        with trainer.precision_plugin.forward_context():
            self.activations = saved_bytes(pl_module, largest)


def _now(device: torch.device) -> tuple[float, float]:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter(), time.process_time()


def _bytes(tensors: list[Any]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _loader(source: Any, sampler: list[Dealt] | None = None) -> DataLoader[Any]:
    return DataLoader(source, batch_size=None, sampler=sampler, generator=torch.Generator())
