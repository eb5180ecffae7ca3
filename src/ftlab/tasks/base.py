"""Base class of all task modules: training step, optimizer, metrics, checkpoints of trainable weights only."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Generic, Literal, TypeVar

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import nn

from ftlab.config.task import Logits, Task
from ftlab.core.batch import Batch, micro_batches
from ftlab.core.errors import ConfigError, UserError, did_you_mean
from ftlab.methods.base import TuningMethod, trainable_names
from ftlab.methods.reference import ReferenceModel
from ftlab.record import Metric
from ftlab.tasks.random_state import random_state, restore_random_state
from ftlab.tasks.ranks import gather_from_ranks

BatchOrMicroBatches = Batch | list[Batch]  # a micro-batch, or the smaller micro-batches it is split into
Split = Literal["val", "test"]
_VALIDATION, _RANDOM = "validation_results", "random_state"  # keys in a checkpoint
MakeOptimizer = Callable[[list[dict[str, Any]]], tuple[torch.optim.Optimizer, Any]]


_KEYS = {  # what a prediction is -> keys that breakdowns and tests on examples read
    **dict.fromkeys(("class", "labels", "numbers", "tags"), ("label", "prediction")),
    "tokens": ("tokens", "token_accuracy"),
}


class NonFiniteLoss(UserError):
    """A loss became NaN or infinite."""


def finite_metrics(value: float, n: int) -> Metric:
    """Return a metric, without a value if it is NaN or infinite."""
    return Metric(value=value, n=n) if math.isfinite(value) else Metric(value=None, n=n, status="not finite")


class Scores(nn.Module, ABC):
    """Metrics of one split; an nn.Module, so that they move to the model's device."""

    @abstractmethod
    def compute(self) -> dict[str, Metric]:
        """Return the metrics over all updates since the last call, and reset.

        Among them are `loss`, the monitored metric and those of the table.
        """


ScoresT = TypeVar("ScoresT", bound=Scores)


class TaskModule(LightningModule, ABC, Generic[ScoresT]):
    """LightningModule that trains a base model, wrapped by a tuning method, on one task.

    A subclass computes the loss and the metrics; everything else is the same for all tasks. A batch has one row of
    `input_ids` and `attention_mask` for each example, its `labels`, and its `index`, the number of the example in the
    split; `ftlab.core.batch.model_inputs` returns what the model takes of it.

    Attributes:
        reference_model: the base as it was before training; None if the kind does not need it.
        trainable: names of the parameters that will ever train, recorded once.
        results: metrics by split, filled at the end of each evaluation.
        predictions: one dict per test example, in loader order.
        last_loss: mean loss of the current optimizer step over its micro-batches so far, on this rank; a scalar on the
            device.
        grad_norm: total norm of the last step's gradients before clipping, a scalar on the device; if nothing is
            clipped, of the last step that was logged.
        validated_at: optimizer step of the last validation.
    """

    def __init__(
        self,
        model: nn.Module,
        method: TuningMethod,
        task: Task,
        make_optimizer: MakeOptimizer,
        *,
        logits: Logits = "all",
        reference_model: ReferenceModel | None = None,
    ) -> None:
        """Create the module and its metrics.

        Args:
            model: what `method.apply` returned.
            method: computes the logits and the optimizer's parameter groups.
            task: labels and the metrics to monitor.
            make_optimizer: returns an optimizer and its per-step schedule for parameter groups.
            logits: the logits that a language model computes; the loss is the same.
            reference_model: see `TaskKind.needs_reference`.
        """
        super().__init__()
        self.model = model.train()  # loaded in evaluation mode, which Lightning does not change
        self.method = method
        self.task = task
        self.make_optimizer = make_optimizer
        self.logits = logits
        self.reference_model = reference_model
        self.trainable = trainable_names(model)
        self.results: dict[str, dict[str, Metric]] = {}
        self.predictions: list[dict[str, Any]] = []
        self.last_loss: torch.Tensor | None = None
        self.grad_norm: torch.Tensor | None = None
        self._step_loss = torch.zeros(())
        self.validated_at: int | None = None
        self.val_scores = self.new_scores()
        self.test_scores = self.new_scores()
        self._random: torch.Tensor | None = None  # (ranks, bytes), from the checkpoint that is resumed
        self.strict_loading = False  # checkpoints contain only the trainable tensors

    @abstractmethod
    def loss(self, batch: Batch) -> torch.Tensor:
        """Return the training loss, a scalar averaged over examples or, for some tasks, tokens.

        `training_step` multiplies it by the batch's loss weight in its optimizer step.
        """

    @abstractmethod
    def evaluate(self, batch: Batch, scores: ScoresT) -> list[dict[str, Any]]:
        """Update the metrics with a batch and return one plain dict per example, a row of predictions.parquet.

        It has `index` and `loss`; `tokens` and `token_accuracy` if the kind predicts `tokens`, and `label` and
        `prediction` if it predicts anything else but `other`.
        """

    @abstractmethod
    def new_scores(self) -> ScoresT:
        """Return the task's metrics, reset."""

    def reference_loss(self) -> float | None:
        """Return the loss of guessing by the label frequencies of the training rows; None if that is not known."""
        return None

    def on_train_batch_start(self, batch: BatchOrMicroBatches, batch_idx: int) -> None:
        """Zero the gradients at the start of a step; after resuming, restore the random state of the checkpoint.

        Nothing may draw random numbers between this and the forward pass.
        """
        if batch_idx % self.trainer.accumulate_grad_batches == 0:
            for optimizer in self.trainer.optimizers:
                optimizer.zero_grad()
        if self._random is not None:
            restore_random_state(self._random[self.global_rank])
            self._random = None

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: torch.optim.Optimizer) -> None:
        """Do nothing: Lightning calls it after `training_step`, which has already computed gradients."""

    def training_step(self, batch: BatchOrMicroBatches, batch_idx: int) -> torch.Tensor:
        """Return the loss of the last micro-batch, after the backward passes of those before it."""
        *others, last = micro_batches(batch)
        sum_of_others = torch.zeros((), device=self.device)
        for micro_batch in others:
            sum_of_others += self._backward(micro_batch)
        loss = self._weighted_loss(last)
        self.last_loss = self._mean_step_loss(sum_of_others + loss.detach(), batch_idx)
        step_complete = (batch_idx + 1) % self.trainer.accumulate_grad_batches == 0
        is_logged = step_complete and self.logs_step
        logged = self._finite_mean_over_ranks(self.last_loss) if is_logged else self.last_loss
        self.log("train/loss", logged, on_step=True, on_epoch=False)
        penalty = self.method.regulariser(self.model)
        return loss if penalty is None else loss + penalty

    def _backward(self, micro_batch: Batch) -> torch.Tensor:
        """Accumulate the gradient of a micro-batch, and return its loss.

        Ranks synchronise gradients only in the backward pass after `training_step`, which DDP prepares for.
        """
        loss = self._weighted_loss(micro_batch)
        with torch.autocast(self.device.type, enabled=False):
            self.trainer.strategy.backward(loss / self.trainer.accumulate_grad_batches, None)
        torch.clear_autocast_cache()  # it holds half-precision weights of a graph that is freed by now
        return loss.detach()

    def _weighted_loss(self, batch: Batch) -> torch.Tensor:
        """Return the loss times the batch's loss weight in its optimizer step."""
        loss = self.loss(batch)
        return loss * batch["loss_weight"] if "loss_weight" in batch else loss

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the gradients for every optimizer, and keep the norm that clipping computes.

        Lightning itself refuses to clip for a fused optimizer, which may unscale gradients. In bf16 none are scaled,
        and fp16 has no fused optimizer (`use_fused_adamw`): its gradients are unscaled before this.
        """
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        if gradient_clip_val is not None:
            self.grad_norm = nn.utils.clip_grad_norm_(parameters, gradient_clip_val)
        elif self.logs_step:
            self.grad_norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])

    @property
    def logs_step(self) -> bool:
        """Whether Lightning logs the optimizer step that is being made: each `log_every_n_steps`-th.

        Reading a value synchronises with the device and the other ranks, so it is not done at each step. Under a budget
        in seconds, any step may be the last, which is logged too.
        """
        every: int = self.trainer.log_every_n_steps if self.trainer.max_steps > 0 else 1  # type: ignore[attr-defined]
        return (self.global_step + 1) % every == 0

    def _finite_mean_over_ranks(self, loss: torch.Tensor) -> torch.Tensor:
        """Return the loss of a step, averaged over ranks; on every rank, raise NonFiniteLoss if it is not finite."""
        loss = gather_from_ranks(loss).mean()
        if not torch.isfinite(loss):
            raise NonFiniteLoss(
                f"the training loss became {loss.item()} at step {self.global_step}: lower optim.lr, or set "
                "optim.grad_clip."
            )
        return loss

    def _mean_step_loss(self, loss: torch.Tensor, batch_idx: int) -> torch.Tensor:
        """Average the losses of the step's micro-batches so far, as Lightning averages their gradients."""
        done = batch_idx % self.trainer.accumulate_grad_batches
        self._step_loss = loss if done == 0 else self._step_loss + loss
        return self._step_loss / (done + 1)

    def validation_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        """Update the validation metrics with one batch; return its `predictions` to callbacks, and keep none."""
        return {"predictions": self._evaluate(batch, self.val_scores)}

    def _evaluate(self, batch: Batch, scores: ScoresT) -> list[dict[str, Any]]:
        """Return what `evaluate` returns, checked, as it may be a user's."""
        examples, needed = len(batch["index"]), {"index", "loss", *_KEYS.get(self.task.kind.predicts, ())}
        if len(batch["input_ids"]) != examples:
            raise ConfigError(f"a batch of dataset.task={self.task.name} needs one row of input_ids for each example.")
        predictions = self.evaluate(batch, scores)
        complete = [row for row in predictions or () if isinstance(row, dict) and needed <= row.keys()]
        if not len(complete) == len(predictions or ()) == examples:
            keys = ", ".join(sorted(needed))
            raise ConfigError(f"{type(self).__qualname__}.evaluate must return a dict for each example, with {keys}.")
        return predictions

    def on_validation_epoch_end(self) -> None:
        """Log the validation metrics."""
        self.validated_at = self.global_step
        self._log_metrics("val", self.val_scores)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Update the test metrics with one batch and keep its predictions."""
        self.predictions.extend(self._evaluate(batch, self.test_scores))

    def on_test_epoch_end(self) -> None:
        """Log the test metrics."""
        self._log_metrics("test", self.test_scores)

    def _log_metrics(self, split: Split, scores: ScoresT) -> None:
        self.results[split] = scores.compute()
        self._require_metrics(self.results[split], scores)
        if self.results[split]["loss"].value is None:
            raise NonFiniteLoss(
                f"the {split} loss is not finite at step {self.global_step}: lower optim.lr, or set optim.grad_clip."
            )
        values = {f"{split}/{name}": metric.value for name, metric in self.results[split].items()}
        defined = {name: value for name, value in values.items() if value is not None}
        # every rank evaluates every row, so all ranks hold the same value
        self.log_dict(defined, sync_dist=False, rank_zero_only=False)

    def _require_metrics(self, metrics: Mapping[str, Metric], scores: ScoresT) -> None:
        """Check that the scores have the loss, the monitored metric and those of the table."""
        kind = self.task.kind
        generated = {column.metric for column in kind.generation_columns}
        shown = [column.metric for column in self.task.columns if column.metric not in generated]
        for name in ("loss", kind.monitor.removeprefix("val/"), *shown):
            if name not in metrics:
                raise ConfigError(
                    f"{type(scores).__qualname__}.compute returns no {name}, which the task kind {kind.name} shows or "
                    f"monitors: {did_you_mean(name, metrics)}."
                )

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Build the optimizer over the method's parameter groups, with a schedule in optimizer steps."""
        optimizer, schedule = self.make_optimizer(self.method.param_groups(self.model))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep only the trainable tensors; add the random state and the metrics of the last validation."""
        state = checkpoint["state_dict"]
        checkpoint["state_dict"] = {f"model.{name}": state[f"model.{name}"] for name in self.trainable}
        checkpoint[_RANDOM] = gather_from_ranks(random_state(self.device)).cpu()
        checkpoint[_VALIDATION] = {name: metric.model_dump() for name, metric in self.results.get("val", {}).items()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint of other parameters, which Lightning would accept: `strict_loading` is off."""
        expected = {f"model.{name}" for name in self.trainable}
        different = sorted(expected ^ set(checkpoint["state_dict"]))
        if different:
            names = ", ".join(different[:3])
            raise UserError(f"the checkpoint holds other parameters than this run trains: {names} differ.")
        self._random = checkpoint[_RANDOM]
        self.results["val"] = {name: Metric(**values) for name, values in checkpoint[_VALIDATION].items()}
