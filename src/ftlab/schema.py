"""The one shape of a composed configuration. Everything that runs has passed through `validate`."""

from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError, model_validator

from ftlab.errors import ConfigError, did_you_mean
from ftlab.groups import (
    BudgetConfig,
    DatasetConfig,
    Group,
    HardwareConfig,
    MethodConfig,
    ModelConfig,
    OptimConfig,
    QuantConfig,
    RobustnessConfig,
    SearchConfig,
    SpeedConfig,
    SweepConfig,
    TrackerConfig,
)
from ftlab.losses import LossConfig

_OF_TEXTS = ("classification", "multilabel", "regression")  # tasks whose answer is one for the whole text


class RunConfig(Group):
    """One experiment, fully resolved."""

    seed: int = Field(ge=0, lt=2**32)
    plan: Literal[False, True, "first"] = False  # predict memory and time: instead of training, or before it
    model: ModelConfig
    dataset: DatasetConfig
    hardware: HardwareConfig
    quant: QuantConfig
    method: MethodConfig
    optim: OptimConfig
    loss: LossConfig = Field(default_factory=LossConfig)
    budget: BudgetConfig
    speed: SpeedConfig = Field(default_factory=SpeedConfig)
    robustness: RobustnessConfig = Field(default_factory=RobustnessConfig)
    search: SearchConfig = Field(default_factory=SearchConfig)
    tracker: TrackerConfig
    sweep: SweepConfig

    @property
    def max_length(self) -> int:
        """Tokens per example: the smaller of what dataset and budget allow."""
        return min(self.dataset.max_length, self.budget.max_length or self.dataset.max_length)

    @property
    def micro_batch_size(self) -> int:
        """Examples per forward pass and device."""
        return self.optim.batch_size // (self.optim.accumulate * self.hardware.world_size)

    @property
    def micro_batch_tokens(self) -> Literal["auto"] | int | None:
        """`speed.micro_batch_tokens`; null in place of auto where micro-batches stay whole in any case."""
        asked = self.speed.micro_batch_tokens
        whole = self.hardware.strategy == "fsdp" or self.loss.contrastive or self.dataset.task == "mixture"
        return None if asked == "auto" and whole else asked

    @property
    def one_token(self) -> bool:
        """Whether the last block may be worked out for one token alone; `speed.last_block`, where the run allows it."""
        sharded = self.hardware.strategy == "fsdp"
        return self.speed.last_block == "auto" and self.dataset.task in _OF_TEXTS and not sharded

    def with_smaller_micro_batches(self, halvings: int, tokens: int | None = None) -> "RunConfig":
        """Return the same with `micro_batch_size` halved so many times, and as many more of them per step.

        Args:
            halvings: how many times.
            tokens: of its forward passes as they are, which are halved too; None: they have no limit, or do not matter.
        """
        accumulate = self.optim.accumulate * 2**halvings
        update: dict[str, object] = {"optim": self.optim.model_copy(update={"accumulate": accumulate})}
        if halvings and tokens is not None:
            fewer = max(1, tokens // 2**halvings)
            update["speed"] = self.speed.model_copy(update={"micro_batch_tokens": fewer})
        return self.model_copy(update=update)

    @model_validator(mode="after")
    def _batch_divides(self) -> "RunConfig":
        parts = self.optim.accumulate * self.hardware.world_size
        if self.optim.batch_size % parts:
            raise ValueError(
                f"optim.batch_size={self.optim.batch_size} cannot be split evenly into {parts} parts "
                "(accumulate × devices × nodes)"
            )
        return self

    @model_validator(mode="after")
    def _lr_where_something_trains(self) -> "RunConfig":
        if self.optim.lr is None and self.method.lr is not None:
            raise ValueError(f"optim.lr is null and method={self.method.name} trains: set optim.lr")
        return self

    @model_validator(mode="after")
    def _method_keeps_its_quantisation(self) -> "RunConfig":
        if self.method.quant not in (None, self.quant.name):
            raise ValueError(
                f"method={self.method.name} needs quant={self.method.quant}, not quant={self.quant.name}: drop the "
                "quant setting, or use method=lora"
            )
        return self

    @model_validator(mode="after")
    def _sharded_training_knows_its_parts(self) -> "RunConfig":
        if self.hardware.strategy != "fsdp":
            return self
        if self.quant.name != "none":
            raise ValueError(
                f"hardware.strategy=fsdp cannot share out quantised weights (quant={self.quant.name}): use "
                "hardware.strategy=ddp, or quant=none with method=lora"
            )
        if self.optim.name in ("adafactor", "adamw_8bit"):  # means over whole rows, blocks that a cut would part
            raise ValueError(
                f"hardware.strategy=fsdp cannot share out the state of optim={self.optim.name}: use optim=adamw or "
                "sgd, or hardware.strategy=ddp"
            )
        return self

    @model_validator(mode="after")
    def _method_gets_what_it_needs(self) -> "RunConfig":
        if "whole_weights" in self.method.needs and self.hardware.strategy == "fsdp":
            raise ValueError(
                f"method={self.method.name} computes with whole weights, and under hardware.strategy=fsdp no process "
                "has them: use hardware.strategy=ddp, or method=lora"
            )
        if "steps" in self.method.needs and self.budget.limit[0] == "seconds":
            raise ValueError(
                f"method={self.method.name} plans ahead in optimizer steps, and under budget.seconds their number is "
                "not known: use budget=steps, tokens or flops, or method=lora"
            )
        if "cache" in self.method.needs and self.model.gradient_checkpointing:
            raise ValueError(
                f"method={self.method.name} passes through the cache, which gradient checkpointing leaves out: set "
                "model.gradient_checkpointing=false, or use method=prompt"
            )
        return self

    @model_validator(mode="after")
    def _loss_fits_the_task(self) -> "RunConfig":
        for part in self.dataset.parts.values() or [self.dataset]:
            if misfit := self.loss.misfit(part.task):
                raise ValueError(misfit)
        return self

    @model_validator(mode="after")
    def _a_mixture_can_be_dealt(self) -> "RunConfig":
        if not self.dataset.parts:
            return self
        refused = {
            "optim.packing=true": self.optim.packing,
            "optim.group_by_length=true": self.optim.group_by_length,
            "hardware.strategy=fsdp": self.hardware.strategy == "fsdp",
            "loss.contrastive": self.loss.contrastive > 0,
            "a list in loss.class_weights": isinstance(self.loss.class_weights, list),
        }
        for setting, asked in refused.items():
            if asked:
                raise ValueError(
                    f"{setting} is for a single data set, and dataset={self.dataset.name} mixes several: leave it out"
                )
        if self.dataset.mixing:
            self.dataset.mixing.require_weights_of(self.dataset.parts)
        return self

    @model_validator(mode="after")
    def _a_micro_batch_can_be_cut(self) -> "RunConfig":
        asked = self.speed.micro_batch_tokens
        if asked in ("auto", None):
            return self
        if self.hardware.strategy == "fsdp":
            raise ValueError(
                f"speed.micro_batch_tokens={asked} gives each rank pieces of its own, and under "
                "hardware.strategy=fsdp all have to compute as many: set it to null, or use hardware.strategy=ddp"
            )
        if self.loss.contrastive:
            raise ValueError(
                f"speed.micro_batch_tokens={asked} parts the examples that loss.contrastive compares: set it to null"
            )
        return self

    @model_validator(mode="after")
    def _packing_keeps_examples_apart(self) -> "RunConfig":
        if not self.optim.packing:
            return self
        if self.dataset.task not in ("instruction", "seq2seq", "text"):
            raise ValueError(
                f"optim.packing is for models that write, not for {self.dataset.task}: use optim.group_by_length=true"
            )
        if "own_rows" in self.method.needs:
            raise ValueError(
                f"method={self.method.name} puts something in front of each row, and packed examples share them: use "
                "optim.group_by_length=true instead, or method=lora"
            )
        return self

    @model_validator(mode="after")
    def _val_and_test_leave_rows(self) -> "RunConfig":
        if self.dataset.val_fraction + self.dataset.test_fraction >= 1:
            raise ValueError("dataset.val_fraction + dataset.test_fraction must stay below 1")
        return self


def validate(resolved: dict[str, Any]) -> RunConfig:
    """Return the configuration as typed, frozen values.

    Args:
        resolved: the composed configuration with every interpolation resolved and without `hydra`.

    Raises:
        ConfigError: one sentence that names the key, what is wrong with it, and what would be right.
    """
    try:
        return RunConfig.model_validate(resolved)
    except ValidationError as error:
        raise ConfigError(_sentence(error)) from None


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"{key} is not a setting of ftlab: {did_you_mean(str(first['loc'][-1]), _siblings(first['loc']))}."
    if first["type"] == "missing":
        return f"{key} is missing: set {key}=VALUE."
    message = first["msg"].removeprefix("Value error, ")
    if isinstance(first["input"], dict):  # a rule about several keys
        return f"{key}: {message}." if key else f"{message}."
    return f"{key}={first['input']!r} is not valid: {message[0].lower()}{message[1:]}."


def _siblings(location: tuple[int | str, ...]) -> list[str]:
    group: type[BaseModel] = RunConfig
    if location[:2] == ("dataset", "parts"):  # a part is a data set too
        location = ("dataset", *location[3:])
    for part in location[:-1]:
        annotation = group.model_fields[str(part)].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        group = annotation
    return list(group.model_fields)
