"""Cost meter of training: time, tokens, memory and energy, apart from set-up, validation and test."""

from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer

from ftlab.core.batch import IGNORE_INDEX, Batch, micro_batches
from ftlab.core.callback import Phase, RunCallback, run_callbacks
from ftlab.core.phase_clock import GENERATED_TOKENS, PhaseClock
from ftlab.methods.reference import ReferenceModel
from ftlab.methods.work import TrainingWork
from ftlab.record import EVAL, SETUP, TRAIN, Cost
from ftlab.train.callbacks.energy import GpuEnergy
from ftlab.train.callbacks.memory import PeakMemory


class CostMeter(RunCallback):
    """Callback that times training, evaluation and the phases within them, and counts examples, tokens and positions.

    Tokens exclude padding, positions include it. The peak memory is that of training alone. Saving a checkpoint counts
    as part of the validation before it. Counts are those of this process; `all_reduce_sum` sums them over all ranks.

    Attributes:
        clock: of the run; `train` and `eval` are its main phases.
        setup_s: seconds before training; set by the run.
    """

    phase = Phase.COST
    clock: PhaseClock

    def __init__(
        self,
        work: TrainingWork,
        reference: ReferenceModel | None = None,
        *,
        clock: PhaseClock,
        base_weight_bytes: int,
        saving_s: Callable[[], float],
    ) -> None:
        """Start with nothing measured.

        Args:
            work: of the method.
            reference: of the run.
            clock: stopped; it synchronises with the device.
            base_weight_bytes: size of the base's weights in memory.
            saving_s: returns the seconds of training's time in which checkpoints were saved, which is not training.
        """
        self.clock = clock
        self._work = work
        self._reference = reference
        self._base_weight_bytes = base_weight_bytes
        self._saving_s = saving_s
        self.setup_s = 0.0
        self.examples = 0
        self.positions = 0
        self.peak_memory: int | None = None
        self.memory: PeakMemory | None = None
        self.energy: GpuEnergy | None = None
        self._joules_before = 0.0
        self._tokens: torch.Tensor | int = 0
        self._device = torch.device("cpu")

    @property
    def tokens(self) -> int:
        """Number of tokens seen in training, without padding."""
        return int(self._tokens)

    @property
    def train_s(self) -> float:
        """Seconds of training until now, with the saving of checkpoints between steps."""
        return self.clock.seconds(TRAIN).wall

    @property
    def net_train_s(self) -> float:
        """Seconds of training until now, without the saving of checkpoints."""
        return self.train_s - self._saving_s()

    @property
    def eval_s(self) -> float:
        """Seconds of evaluation until now."""
        return self.clock.seconds(EVAL).wall

    def state_dict(self) -> dict[str, Any]:
        """Return the measurements so far, for a resumed run."""
        return {
            "clock": self.clock.state_dict(),
            "examples": all_reduce_sum(self.examples, self._device),
            "tokens": all_reduce_sum(self.tokens, self._device),
            "positions": all_reduce_sum(self.positions, self._device),
            "peak_memory": self.memory.so_far() if self.memory else None,
            "joules": self._joules_so_far(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from the measurements of a checkpoint."""
        self.clock.load_state_dict(state_dict["clock"] if "clock" in state_dict else _older_times(state_dict))
        self._joules_before = state_dict["joules"] or 0.0
        if not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0:
            self.examples, self._tokens = state_dict["examples"], state_dict["tokens"]
            self.positions = state_dict["positions"]
        self.peak_memory = state_dict["peak_memory"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Reset the peak memory and start timing."""
        self._device = pl_module.device
        self.memory = PeakMemory(pl_module.device, highest=self.peak_memory or 0)
        self.memory.start()
        self.energy = GpuEnergy(pl_module.device, before=self._joules_before)
        self.energy.start()
        self.clock.switch(TRAIN)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Count the batch; the first one after a validation resumes the timing of training."""
        self._switch(TRAIN)
        for micro_batch in micro_batches(batch):
            self._count(micro_batch)

    def _count(self, batch: Batch) -> None:
        packed = "tokens" in batch  # several examples per row, and no mask
        self.examples += len(batch["index"] if packed else batch["input_ids"])
        # the sum stays on the device, which avoids a synchronisation
        self._tokens = self._tokens + (batch["tokens"] if packed else batch["attention_mask"].sum())
        self.positions += batch["input_ids"].numel()
        if "decoder_input_ids" in batch:  # labels of an encoder-decoder count like inputs
            self._tokens = self._tokens + (batch["labels"] != IGNORE_INDEX).sum()
            self.positions += batch["decoder_input_ids"].numel()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Switch from training, if anything trains, to evaluation."""
        self._switch(EVAL)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the training time so far, for curves over time."""
        pl_module.log("cost/train_s", self.train_s)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop the clock after a validation without training; otherwise what follows is part of the validation."""
        if self.memory is None:
            self._switch(None)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop the clock."""
        self._switch(None)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Stop the clock: what follows is neither training nor evaluation."""
        self._switch(None)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start timing the final test."""
        self._switch(EVAL)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop timing the final test."""
        self._switch(None)

    def record_fields(self, trainer: Trainer) -> dict[str, Any]:
        """Return the cost of the run; see `RunCallback`."""
        device = trainer.strategy.root_device
        counts = (self.examples, self.tokens, self.positions)
        examples, tokens, positions = (all_reduce_sum(count, device) for count in counts)
        spared = (callback.spared_flops(examples=examples, tokens=tokens) for callback in run_callbacks(trainer))
        train_s = self.net_train_s
        joules, energy_status = self._energy_of_all_ranks(device)
        cost = Cost(
            setup_s=self.setup_s,
            train_s=train_s,
            train_cpu_s=self.clock.seconds(TRAIN).cpu,
            training_flops=self._work.params.flops(tokens),
            spared_flops=sum(spared),
            eval_s=self.eval_s,
            phases=self._seconds_by_phase(),
            generated_tokens=self.clock.counts.get(GENERATED_TOKENS),
            optimizer_steps=trainer.global_step,
            examples_seen=examples,
            tokens_seen=tokens,
            padding_share=1 - tokens / positions if positions else None,
            examples_per_s=examples / train_s if train_s else None,
            tokens_per_s=tokens / train_s if train_s else None,
            peak_memory_bytes=self.peak_memory,
            baseline_memory_bytes=self.memory.baseline if self.memory else None,
            peak_memory_source=self.memory.source if self.memory else "nothing trained",
            base_weight_bytes=self._base_weight_bytes,
            reference_weight_bytes=self._reference.weight_bytes if self._reference else None,
            energy_joules=joules,
            energy_status=energy_status,
        )
        return {"cost": cost}

    def _seconds_by_phase(self) -> dict[str, float]:
        """Return phase -> seconds, which add up to those of set-up, training without saving, and evaluation."""
        besides, measured = {SETUP: self.setup_s, TRAIN: -self._saving_s(), EVAL: 0.0}, self.clock.phases()
        return {name: measured.get(name, 0.0) + besides.get(name, 0.0) for name in (*besides, *measured)}

    def _energy_of_all_ranks(self, device: torch.device) -> tuple[float | None, str]:
        """Return the joules of all ranks' GPUs and the status; None if any rank does not know."""
        if self.energy is None:
            return None, "nothing trained"
        joules = self.energy.joules
        missing = all_reduce_sum(int(joules is None), device)
        total = all_reduce_sum(round(1000 * (joules or 0)), device)
        if missing:
            return None, self.energy.status if joules is None else "not known on another rank"
        return total / 1000, "ok"

    def _joules_so_far(self) -> float | None:
        if self.energy is None:
            return None
        if self.clock.main == TRAIN:  # read the counter, and continue
            self.energy.stop()
            self.energy.start()
        return self.energy.joules

    def _switch(self, main: str | None) -> None:
        """Switch the clock; memory and energy are those of training."""
        before = self.clock.main
        self.clock.switch(main)
        if main == before or self.memory is None or self.energy is None:
            return
        if before == TRAIN:
            self.peak_memory = self.memory.stop()
            self.energy.stop()
        elif main == TRAIN:
            self.memory.start()
            self.energy.start()


def _older_times(state_dict: dict[str, Any]) -> dict[str, Any]:
    """Return the state of a clock from a checkpoint of an older version, which had none."""
    times = [[TRAIN, TRAIN, state_dict["train_s"], state_dict["train_cpu_s"]], [EVAL, EVAL, state_dict["eval_s"], 0.0]]
    return {"times": times, "counts": {}}


def all_reduce_sum(count: int, device: torch.device) -> int:
    """Return the sum of a count over all ranks; every rank must call this."""
    if not torch.distributed.is_initialized():
        return count
    total = torch.tensor(count, device=device)
    torch.distributed.all_reduce(total)
    return int(total)
