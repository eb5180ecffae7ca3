"""AdaLoRA: low-rank updates whose ranks are allocated by importance during training (Zhang et al., 2023)."""

from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from peft import AdaLoraConfig, AdaLoraModel, PeftConfig, PeftModel
from peft.tuners.adalora import AdaLoraLayer
from torch import nn

from ftlab.config.task import Task
from ftlab.core.errors import ConfigError, UserError
from ftlab.methods.peft import PeftMethod, Target, check_target, target_modules
from ftlab.models.load import Base

_STATISTICS = (
    "ipt",
    "exp_avg_ipt",
    "exp_avg_unc",
)  # of PEFT's RankAllocator: a tensor for each adapter parameter
_MIN_STEPS = 2  # optimizer steps: the first one measures importance, the second one can use it


@dataclass(kw_only=True)
class AdaLora(PeftMethod):
    """Updates in the form of a singular value decomposition, P Λ Q, whose least important singular values are pruned.

    All matrices start with rank `init_r`; over the run the average rank decreases along a cubic curve (section 3.3) to
    `target_r`.

    Attributes:
        init_r: rank of each update at the start; the paper uses 1.5 times `target_r`.
        target_r: average rank of an update at the end.
        warmup: fraction of the optimizer steps before the first pruning.
        final: fraction of the optimizer steps, at the end, with constant ranks.
        interval: optimizer steps between prunings.
        lora_alpha: the update is scaled by `lora_alpha / init_r`.
        lora_dropout: rate of dropout on an update's input.
        orth_reg_weight: weight of the regulariser that keeps P and Q orthogonal (equation 4).
        target: the adapted layers, see `ftlab.methods.peft.target_modules`.
    """

    init_r: int = 12
    target_r: int = 8
    warmup: float = 0.1
    final: float = 0.5
    interval: int = 1
    lora_alpha: int = 32
    lora_dropout: float = 0.0
    orth_reg_weight: float = 0.1
    target: Target = "all-linear"

    def __post_init__(self) -> None:
        """Check that there are ranks to prune, and steps to prune them in."""
        check_target(self.target)
        if not 0 < self.target_r < self.init_r:
            raise ConfigError(
                f"method.init_r={self.init_r} must be larger than method.target_r={self.target_r}, and that 1 or more."
            )
        if self.warmup < 0 or self.final < 0 or self.warmup + self.final >= 1:
            raise ConfigError(
                f"method.warmup={self.warmup} and method.final={self.final} leave no steps to prune ranks in: they are "
                "fractions of the run, and their sum must be below 1."
            )
        if self.interval < 1:
            raise ConfigError(f"method.interval={self.interval} is not valid: give optimizer steps, 1 or more.")

    def peft_config(self, base: Base, task: Task) -> PeftConfig:
        """See `PeftMethod`."""
        return AdaLoraConfig(
            init_r=self.init_r,
            target_r=self.target_r,
            deltaT=self.interval,
            lora_alpha=self.lora_alpha,
            lora_dropout=self.lora_dropout,
            orth_reg_weight=self.orth_reg_weight,
            target_modules=target_modules(self.target, base.model),
            total_step=1,  # RankSchedule sets it to the run's length
        )

    def regulariser(self, model: nn.Module) -> torch.Tensor:
        """Return PEFT's orthogonality penalty of P and Q, which PEFT adds only to a loss that the model computes."""
        distances = []
        for name, parameter in model.named_parameters():
            if "lora_A" in name or "lora_B" in name:
                gram = parameter @ parameter.T if "lora_A" in name else parameter.T @ parameter
                distances.append(torch.linalg.matrix_norm(gram - torch.eye(len(gram), device=gram.device)))
        return self.orth_reg_weight * torch.stack(distances).mean()

    def callbacks(self) -> list[Callback]:
        """Return the schedule of the ranks."""
        return [RankSchedule(warmup=self.warmup, final=self.final)]

    def before_export(self, model: PeftModel) -> None:
        """Set `rank_pattern` to the remaining ranks, since PEFT saves only these.

        It is read from the weights: those of the best checkpoint may be older than the last pruning.
        """
        _, config = _tuner(model)
        config.rank_pattern = {
            f"{name}.lora_E": (layer.lora_E[model.active_adapter] != 0).flatten().tolist()
            for name, layer in _adapted(model)
        }

    def after_restore(self, model: PeftModel) -> None:
        """Restore pruned ranks as zeros, since sums over fewer terms would round differently."""
        adapter = model.active_adapter
        _, config = _tuner(model)
        if config.rank_pattern is None:  # written by another program, with all ranks
            return
        for name, layer in _adapted(model):
            kept = torch.tensor(config.rank_pattern[f"{name}.lora_E"])
            for matrix, axis in (("lora_E", 0), ("lora_A", 0), ("lora_B", 1)):
                weights = getattr(layer, matrix)
                saved = weights[adapter].detach()
                shape = list(saved.shape)
                shape[axis] = len(kept)
                padded = saved.new_zeros(shape).index_copy_(axis, kept.nonzero()[:, 0], saved)
                weights[adapter] = nn.Parameter(padded, requires_grad=False)
            layer.r[adapter] = len(kept)
            layer.ranknum[adapter].data.fill_(len(kept))


def _tuner(model: nn.Module) -> tuple[AdaLoraModel, AdaLoraConfig]:
    assert isinstance(model, PeftModel)
    tuner = model.base_model
    assert isinstance(tuner, AdaLoraModel)
    config = tuner.peft_config[model.active_adapter]
    assert isinstance(config, AdaLoraConfig)
    return tuner, config


def _adapted(model: PeftModel) -> list[tuple[str, AdaLoraLayer]]:
    """Return the adapted layers with their names in the base model."""
    modules = _tuner(model)[0].named_modules()
    return [(name.removeprefix("model."), module) for name, module in modules if isinstance(module, AdaLoraLayer)]


class RankSchedule(Callback):
    """Measure the importance of every singular value after each optimizer step, and prune to the budget of the step.

    It calls PEFT's `update_and_allocate` with the steps of this run. PEFT's importance statistics are saved in
    checkpoints; without them, a resumed run would start measuring again.
    """

    def __init__(self, *, warmup: float, final: float) -> None:
        """Set the fractions of the optimizer steps before the first and after the last pruning."""
        self._warmup = warmup
        self._final = final
        self._model: nn.Module | None = None
        self._state: dict[str, Any] = {}
        self._step = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Convert the fractions to steps, and restore the state of the checkpoint."""
        total = trainer.max_steps
        if total < _MIN_STEPS:
            raise UserError(
                f"method=adalora needs {_MIN_STEPS} optimizer steps or more, not {total}: raise budget.steps."
            )
        self._model = pl_module.get_submodule("model")
        tuner, config = _tuner(self._model)
        config.total_step = total
        config.tinit = int(self._warmup * total)
        config.tfinal = min(int(self._final * total), total - _MIN_STEPS)
        self._step = trainer.global_step
        if self._state:
            config.rank_pattern = self._state["rank_pattern"]
            for name in _STATISTICS:
                tensors = {key: tensor.to(pl_module.device) for key, tensor in self._state[name].items()}
                setattr(tuner.rankallocator, name, tensors)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Update importance and ranks after an optimizer step, while its gradients still exist."""
        if trainer.global_step == self._step:  # accumulating gradients
            return
        self._step = trainer.global_step
        assert self._model is not None
        tuner, _ = _tuner(self._model)
        tuner.update_and_allocate(self._step)
        budget, _ = tuner.rankallocator.budget_schedule(self._step)
        pl_module.log("train/average_rank", budget / len(tuner.rankallocator.name_set))

    def state_dict(self) -> dict[str, Any]:
        """Return the state of PEFT's rank allocator: dicts of tensors, and the ranks of the last pruning."""
        if self._model is None:
            return {}
        tuner, config = _tuner(self._model)
        return {name: getattr(tuner.rankallocator, name) for name in _STATISTICS} | {
            "rank_pattern": config.rank_pattern
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the state until training starts."""
        self._state = state_dict
