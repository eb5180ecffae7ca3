"""What training costs, apart from set-up, validation and the final test."""

import time
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from ftlab.callbacks.energy import GpuEnergy
from ftlab.callbacks.memory import PeakMemory
from ftlab.data.collate import IGNORED
from ftlab.data.pieces import Batch, in_pieces


class CostMeter(Callback):
    """Times training and evaluation apart, counts examples, real tokens, and the positions that they took up.

    The peak memory is that of training alone. Saving a checkpoint belongs to the validation that caused it. Counts are
    those of this process; `summed` adds up those of all ranks.
    """

    def __init__(self) -> None:
        """Start with nothing measured."""
        self.train_s = 0.0
        self.train_cpu_s = 0.0
        self.eval_s = 0.0
        self.examples = 0
        self.positions = 0
        self.peak_memory: int | None = None
        self.memory: PeakMemory | None = None
        self.energy: GpuEnergy | None = None
        self._joules_before = 0.0
        self._tokens: torch.Tensor | int = 0
        self._since = 0.0
        self._cpu_since = 0.0
        self._training = False
        self._device = torch.device("cpu")

    @property
    def tokens(self) -> int:
        """Return the tokens seen in training, without padding."""
        return int(self._tokens)

    @property
    def training_s(self) -> float:
        """Return the seconds of training so far; `train_s` has those up to the last turn."""
        return self.train_s + (time.perf_counter() - self._since if self._training else 0.0)

    def state_dict(self) -> dict[str, Any]:
        """Return what has been measured so far, for a run that is gone on with later."""
        pending = time.perf_counter() - self._since if self.memory else 0.0
        return {
            "train_s": self.train_s + (pending if self._training else 0.0),
            "train_cpu_s": self.train_cpu_s + (time.process_time() - self._cpu_since if self._training else 0.0),
            "eval_s": self.eval_s + (0.0 if self._training else pending),
            "examples": summed(self.examples, self._device),
            "tokens": summed(self.tokens, self._device),
            "positions": summed(self.positions, self._device),
            "peak_memory": self.memory.so_far() if self.memory else None,
            "joules": self._joules_so_far(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from it."""
        self.train_s, self.eval_s = state_dict["train_s"], state_dict["eval_s"]
        self.train_cpu_s, self._joules_before = state_dict["train_cpu_s"], state_dict["joules"] or 0.0
        if not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0:
            self.examples, self._tokens = state_dict["examples"], state_dict["tokens"]
            self.positions = state_dict["positions"]
        self.peak_memory = state_dict["peak_memory"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Reset the memory mark and start the clock."""
        self._device = pl_module.device
        self.memory = PeakMemory(pl_module.device, highest=self.peak_memory or 0)
        self.memory.start()
        self.energy = GpuEnergy(pl_module.device, before=self._joules_before)
        self.energy.start()
        self._since, self._cpu_since = time.perf_counter(), time.process_time()
        self._training = True

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Count the batch in; the first one after a validation starts the training clock again."""
        self._turn(pl_module, training=True)
        for piece in in_pieces(batch):
            self._count(piece)

    def _count(self, batch: Batch) -> None:
        packed = "tokens" in batch  # several examples to a row, and no mask
        self.examples += len(batch["index"] if packed else batch["input_ids"])
        # the sum stays on the device: no wait for it
        self._tokens = self._tokens + (batch["tokens"] if packed else batch["attention_mask"].sum())
        self.positions += batch["input_ids"].numel()
        if "decoder_input_ids" in batch:  # what an encoder-decoder writes counts like what it reads
            self._tokens = self._tokens + (batch["labels"] != IGNORED).sum()
            self.positions += batch["decoder_input_ids"].numel()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop the training clock."""
        if self.memory is None:  # nothing trains: there is no stretch of training to turn from
            self._since = time.perf_counter()
        else:
            self._turn(pl_module, training=False)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the training time so far, for curves over time."""
        pl_module.log("cost/train_s", self.train_s)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Book a validation that no training surrounds."""
        if self.memory is None:
            self.eval_s += time.perf_counter() - self._since

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Close the books."""
        self._turn(pl_module, training=not self._training)  # whatever was going on ends here

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock of the final test."""
        self._since = time.perf_counter()

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop it."""
        self.eval_s += time.perf_counter() - self._since

    def _joules_so_far(self) -> float | None:
        if self.energy is None:
            return None
        if self._training:  # read the counter, and let the stretch go on from here
            self.energy.stop()
            self.energy.start()
        return self.energy.joules

    def _turn(self, pl_module: LightningModule, *, training: bool) -> None:
        """Book the time since the last turn to what was going on, and go on with the other."""
        if training == self._training:
            return
        if pl_module.device.type == "cuda":
            torch.cuda.synchronize(pl_module.device)
        now = time.perf_counter()
        assert self.memory is not None
        assert self.energy is not None
        if self._training:
            self.train_s += now - self._since
            self.train_cpu_s += time.process_time() - self._cpu_since
            self.peak_memory = self.memory.stop()
            self.energy.stop()
        else:
            self.eval_s += now - self._since
            self.memory.start()
            self.energy.start()
        self._since, self._cpu_since = now, time.process_time()
        self._training = training


def summed(count: int, device: torch.device) -> int:
    """Return the sum of a count over all ranks, each of which must ask."""
    if not torch.distributed.is_initialized():
        return count
    total = torch.tensor(count, device=device)
    torch.distributed.all_reduce(total)
    return int(total)
