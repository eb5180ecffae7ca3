"""Step metrics beside the training loss: learning rate, gradient norm, throughput, and the epoch as a fraction."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer

from ftlab.train.callbacks.cost import CostMeter


class StepMetrics(Callback):
    """Callback that logs, with the loss of an optimizer step, what else was measured of it.

    - `train/lr`: the learning rate of the step, the highest if parameter groups have different ones;
      `train/lr_group_1` … are then those of the groups.
    - `train/grad_norm`: total norm of the gradients before clipping.
    - `train/examples_per_s`, `train/tokens_per_s`: of all ranks, since the last logged step; tokens without padding,
      seconds without validation and without saving. Ranks have equally many examples; that they have equally many
      tokens is an assumption, which spares them waiting for each other. `cost.tokens_per_s` of the record counts all.
    - `epoch`: sampled rows / training rows, also with validation and test. Lightning's own counts passes through the
      data loader, which yields all epochs as one.
    """

    def __init__(self, meter: CostMeter, *, batch_size: int, train_rows: int) -> None:
        """Take the meter of the run, the rows of an optimizer step, and the rows of an epoch."""
        self._meter = meter
        self._batch_size = batch_size
        self._train_rows = train_rows
        self._rates: dict[str, float] = {}
        self._last_logged = (0, 0, 0.0)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to measure throughput; a resumed run measures that of its own steps."""
        self._last_logged = self._counts()

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Note the learning rates, which the schedule changes at the end of the step."""
        if pl_module.logs_step:
            self._rates = learning_rates(optimizer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Log a step for which Lightning writes a row."""
        step_complete = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]  # Lightning sets it without declaring it
        if not step_complete or (trainer.global_step % every and not trainer.should_stop):
            return
        norm = pl_module.grad_norm
        before, self._last_logged = self._last_logged, self._counts()
        examples, tokens, seconds = (now - then for now, then in zip(self._last_logged, before, strict=True))
        values: dict[str, Any] = {
            **self._rates,
            "train/grad_norm": norm.full_tensor() if isinstance(norm, DTensor) else norm,
            "train/examples_per_s": trainer.world_size * examples / seconds,
            "train/tokens_per_s": trainer.world_size * tokens / seconds,
        }
        pl_module.log_dict(values, on_step=True, on_epoch=False)
        self._log_epoch(trainer, pl_module)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the epoch of a validation."""
        self._log_epoch(trainer, pl_module)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the epoch of the test."""
        self._log_epoch(trainer, pl_module)

    def _log_epoch(self, trainer: Trainer, pl_module: LightningModule) -> None:
        pl_module.log("epoch", trainer.global_step * self._batch_size / self._train_rows)

    def _counts(self) -> tuple[int, int, float]:
        """Return examples and tokens of this rank, and seconds of training, so far."""
        return self._meter.examples, self._meter.tokens, self._meter.net_train_s


def learning_rates(optimizer: Optimizer) -> dict[str, float]:
    """Return the highest learning rate, and that of each group of parameters if the schedule began with several."""
    by_initial = {group["initial_lr"]: float(group["lr"]) for group in optimizer.param_groups}
    several = {f"train/lr_group_{number}": rate for number, rate in enumerate(by_initial.values(), 1)}
    return {"train/lr": max(by_initial.values()), **(several if len(several) > 1 else {})}
