"""What every task module shares: the optimizer, the metrics' bookkeeping, checkpoints of trainable weights only."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, Literal, TypeVar

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import nn

from ftlab.data.pieces import in_pieces
from ftlab.errors import UserError
from ftlab.methods.base import TuningMethod, trainable_names
from ftlab.record import Metric
from ftlab.tasks.spec import Logits, Task

Batch = dict[str, torch.Tensor]
Pieces = Batch | list[Batch]  # a micro-batch, whole or cut
Split = Literal["val", "test"]
_VALIDATION, _RANDOM = "validation_results", "random_state"  # keys in a checkpoint
MakeOptimizer = Callable[[list[dict[str, Any]]], tuple[torch.optim.Optimizer, Any]]


class NonFiniteLoss(UserError):
    """A loss became NaN or infinite."""


def measured(value: float, n: int) -> Metric:
    """Return a metric; one that is NaN or infinite has no value."""
    return Metric(value=value, n=n) if math.isfinite(value) else Metric(value=None, n=n, status="not finite")


def random_state(device: torch.device) -> torch.Tensor:
    """Return the state of the generators that dropout draws from: a vector of bytes, the CPU's first."""
    parts = [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]
    return torch.cat(parts).to(device)


def of_every_process(tensor: torch.Tensor) -> torch.Tensor:
    """Return the tensors of all ranks, stacked; each rank must ask."""
    if not torch.distributed.is_initialized():
        return tensor[None]
    found = [torch.empty_like(tensor) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(found, tensor)
    return torch.stack(found)


def restore_random_state(state: torch.Tensor) -> None:
    """Put back what `random_state` returned, on the same kind of device."""
    length = len(torch.get_rng_state())
    torch.set_rng_state(state[:length].clone())  # torch crashes on a view into a larger tensor
    if len(state) > length:
        torch.cuda.set_rng_state(state[length:].clone())


class Scores(nn.Module, ABC):
    """The metrics of one split; a module, so that they follow the model to its device."""

    @abstractmethod
    def summarise(self) -> dict[str, Metric]:
        """Return the metrics over everything since the last call, and start afresh."""


ScoresT = TypeVar("ScoresT", bound=Scores)


class TaskModule(LightningModule, ABC, Generic[ScoresT]):
    """A base model, wrapped by a tuning method, on one task.

    A subclass computes the loss and the metrics; this class does what is the same for all.

    Attributes:
        trainable: names of the parameters that will ever train, recorded once.
        results: metrics by split, filled at the end of each evaluation.
        predictions: one dict per test example, in loader order.
        last_loss: of the present optimizer step, as far as this process has come with it; a scalar on the device.
        validated_at: optimizer steps done at the last validation.
    """

    def __init__(
        self,
        model: nn.Module,
        method: TuningMethod,
        task: Task,
        make_optimizer: MakeOptimizer,
        *,
        logits: Logits = "all",
    ) -> None:
        """Take a model that `method.apply` returned.

        Args:
            model: what trains.
            method: how its inputs become logits and which parameters form which optimizer group.
            task: labels and the metrics to watch.
            make_optimizer: from parameter groups to an optimizer and its per-step schedule.
            logits: which of them a language model makes; what is learned is the same.
        """
        super().__init__()
        self.model = model.train()  # loaded in evaluation mode, and Lightning leaves modes as they are
        self.method = method
        self.task = task
        self.make_optimizer = make_optimizer
        self.logits = logits
        self.trainable = trainable_names(model)
        self.results: dict[str, dict[str, Metric]] = {}
        self.predictions: list[dict[str, Any]] = []
        self.last_loss: torch.Tensor | None = None
        self._step_loss = torch.zeros(())
        self.validated_at: int | None = None
        self.val_scores = self.new_scores()
        self.test_scores = self.new_scores()
        self._random: torch.Tensor | None = None  # (ranks, bytes), of the checkpoint that training goes on from
        self.strict_loading = False  # checkpoints hold the trainable tensors alone

    @abstractmethod
    def loss(self, batch: Batch) -> torch.Tensor:
        """Return the training loss, a scalar averaged over what the task counts (examples or tokens).

        `training_step` weighs it by the batch's part in its optimizer step.
        """

    @abstractmethod
    def evaluate(self, batch: Batch, scores: ScoresT) -> list[dict[str, Any]]:
        """Update the metrics with a batch; return one prediction (a plain dict with `index`) per example."""

    @abstractmethod
    def new_scores(self) -> ScoresT:
        """Return the task's metrics, empty."""

    def on_train_batch_start(self, batch: Pieces, batch_idx: int) -> None:
        """Forget the last step's gradients, and go on with dropout's stream where the checkpoint left it.

        Nothing may draw from the stream in between.
        """
        if batch_idx % self.trainer.accumulate_grad_batches == 0:
            for optimizer in self.trainer.optimizers:
                optimizer.zero_grad()
        if self._random is not None:
            restore_random_state(self._random[self.global_rank])
            self._random = None

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: torch.optim.Optimizer) -> None:
        """Do nothing: Lightning asks after `training_step`, which has made gradients by then."""

    def training_step(self, batch: Pieces, batch_idx: int) -> torch.Tensor:
        """Return the loss of one micro-batch's last piece, once the others' gradients are there."""
        *others, last = in_pieces(batch)
        sum_of_others = torch.zeros((), device=self.device)
        for piece in others:
            sum_of_others += self._learned(piece)
        loss = self._weighed(last)
        self.last_loss = self._followed(sum_of_others + loss.detach(), batch_idx)
        shown = self._looked_at(self.last_loss) if self._due(batch_idx) else self.last_loss
        self.log("train/loss", shown, on_step=True, on_epoch=False)
        penalty = self.method.regulariser(self.model)
        return loss if penalty is None else loss + penalty

    def _learned(self, piece: Batch) -> torch.Tensor:
        """Add a piece's gradient to those that are there, and return its loss.

        Ranks add theirs up in the backward pass after `training_step` alone: DDP listens from there on.
        """
        loss = self._weighed(piece)
        with torch.autocast(self.device.type, enabled=False):
            self.trainer.strategy.backward(loss / self.trainer.accumulate_grad_batches, None)
        torch.clear_autocast_cache()  # it holds weights in half precision, whose way back has been walked
        return loss.detach()

    def _weighed(self, batch: Batch) -> torch.Tensor:
        """Return the loss times the batch's share of its step."""
        loss = self.loss(batch)
        return loss * batch["share"] if "share" in batch else loss

    def _due(self, batch_idx: int) -> bool:
        """Return whether Lightning writes down the loss after this micro-batch: at a step's last, every so many steps.

        To look at a number is to wait for the device that works it out, and for the other ranks: not at each step.
        """
        every: int = self.trainer.log_every_n_steps if self.trainer.max_steps > 0 else 1  # type: ignore[attr-defined]
        return (batch_idx + 1) % self.trainer.accumulate_grad_batches == 0 and (self.global_step + 1) % every == 0

    def _looked_at(self, loss: torch.Tensor) -> torch.Tensor:
        """Return the loss of a step, averaged over ranks; stop the run, in each of them, when it is no number."""
        loss = of_every_process(loss).mean()
        if not torch.isfinite(loss):
            raise NonFiniteLoss(
                f"the training loss became {loss.item()} at step {self.global_step}: lower optim.lr, or set "
                "optim.grad_clip."
            )
        return loss

    def _followed(self, loss: torch.Tensor, batch_idx: int) -> torch.Tensor:
        """Average the losses of the step's micro-batches, as Lightning does with their gradients."""
        done = batch_idx % self.trainer.accumulate_grad_batches
        self._step_loss = loss if done == 0 else self._step_loss + loss
        return self._step_loss / (done + 1)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Count one batch in."""
        self.evaluate(batch, self.val_scores)

    def on_validation_epoch_end(self) -> None:
        """Log the validation metrics."""
        self.validated_at = self.global_step
        self._finish("val", self.val_scores)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Count one batch in and keep its predictions."""
        self.predictions.extend(self.evaluate(batch, self.test_scores))

    def on_test_epoch_end(self) -> None:
        """Log the test metrics."""
        self._finish("test", self.test_scores)

    def _finish(self, split: Split, scores: ScoresT) -> None:
        self.results[split] = scores.summarise()
        if self.results[split]["loss"].value is None:
            raise NonFiniteLoss(
                f"the {split} loss is not finite at step {self.global_step}: lower optim.lr, or set optim.grad_clip."
            )
        values = {f"{split}/{name}": metric.value for name, metric in self.results[split].items()}
        shown = {name: value for name, value in values.items() if value is not None}
        # every rank evaluates every row, so all ranks hold the same value
        self.log_dict(shown, sync_dist=False, rank_zero_only=False)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Build the optimizer over the method's parameter groups, with a schedule in optimizer steps."""
        optimizer, schedule = self.make_optimizer(self.method.param_groups(self.model))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the trainable tensors alone, and what validation said of them."""
        state = checkpoint["state_dict"]
        checkpoint["state_dict"] = {f"model.{name}": state[f"model.{name}"] for name in self.trainable}
        checkpoint[_RANDOM] = of_every_process(random_state(self.device)).cpu()
        checkpoint[_VALIDATION] = {name: metric.model_dump() for name, metric in self.results.get("val", {}).items()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint of other parameters: `strict_loading` is off, so nobody else would notice."""
        expected = {f"model.{name}" for name in self.trainable}
        odd = sorted(expected ^ set(checkpoint["state_dict"]))
        if odd:
            raise UserError(f"the checkpoint holds other parameters than this run trains: {', '.join(odd[:3])} differ.")
        self._random = checkpoint[_RANDOM]
        self.results["val"] = {name: Metric(**values) for name, values in checkpoint[_VALIDATION].items()}
