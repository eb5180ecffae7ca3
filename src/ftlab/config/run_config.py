"""Schema of the run configuration, and its validation: the rules that concern several groups."""

from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError, model_validator

from ftlab.config.compare import CompareConfig
from ftlab.config.groups import (
    BudgetConfig,
    DatasetConfig,
    Group,
    HardwareConfig,
    MethodConfig,
    ModelConfig,
    OptimConfig,
    QuantConfig,
    SearchConfig,
    SpeedConfig,
    SweepConfig,
    TrackerConfig,
)
from ftlab.config.kinds import all_kinds, entry_of, names_of, register_kinds
from ftlab.config.losses import LossConfig
from ftlab.config.moved import with_current_names
from ftlab.config.robustness import RobustnessConfig
from ftlab.core.errors import ConfigError, did_you_mean


class RunConfig(Group):
    """One experiment, fully resolved."""

    seed: int = Field(ge=0, lt=2**32)
    # modules, or paths of Python files, that define task kinds of the user's own; those that the run needs are kept
    kinds: list[str] = Field(default_factory=list, exclude_if=lambda kinds: not kinds)
    plan: Literal[False, True, "first"] = False  # estimate memory and time: true: instead of training; first: before it
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
    compare: CompareConfig = Field(default_factory=CompareConfig)
    tracker: TrackerConfig
    sweep: SweepConfig

    @property
    def max_length(self) -> int:
        """Maximum tokens per example: the smaller of the limits of dataset and budget."""
        return min(self.dataset.max_length, self.budget.max_length or self.dataset.max_length)

    @property
    def micro_batch_size(self) -> int:
        """Examples per forward pass and device."""
        return self.optim.batch_size // (self.optim.accumulate * self.hardware.world_size)

    @property
    def micro_batch_tokens(self) -> Literal["auto"] | int | None:
        """`speed.micro_batch_tokens`; None instead of auto if this run never splits micro-batches."""
        limit = self.speed.micro_batch_tokens
        never_split = self.hardware.strategy == "fsdp" or self.loss.contrastive or self.dataset.kind.mixture
        return None if limit == "auto" and never_split else limit

    @property
    def cls_only_last_block(self) -> bool:
        """Whether the last block may be computed for the first token ([CLS]) alone: `speed.last_block`, and it fits."""
        kind, sharded = self.dataset.kind, self.hardware.strategy == "fsdp"
        whole_text = kind.head.labels_whole_text and not kind.mixture
        return self.speed.last_block == "auto" and whole_text and not sharded

    def with_smaller_micro_batches(self, halvings: int, tokens: int | None = None) -> "RunConfig":
        """Return this configuration with `micro_batch_size` halved `halvings` times; the step's batch stays the same.

        Args:
            halvings: how many times it is halved.
            tokens: present limit of tokens per forward pass, which is halved too; None: there is none, or it stays.
        """
        accumulate = self.optim.accumulate * 2**halvings
        update: dict[str, object] = {"optim": self.optim.model_copy(update={"accumulate": accumulate})}
        if halvings and tokens is not None:
            limit = max(1, tokens // 2**halvings)
            update["speed"] = self.speed.model_copy(update={"micro_batch_tokens": limit})
        return self.model_copy(update=update)

    @model_validator(mode="before")
    @classmethod
    def _register_kinds(cls, values: Any) -> Any:
        """Import the user's kinds and keep the entries of those that this run needs."""
        if not isinstance(values, dict):
            return values
        register_kinds(values.get("kinds", []))  # those in the folder `kinds` of a --config-dir are registered already
        dataset = values["dataset"] if isinstance(values.get("dataset"), dict) else {}
        parts = dataset["parts"].values() if isinstance(dataset.get("parts"), dict) else []
        tasks = [part.get("task") for part in (dataset, *parts) if isinstance(part, dict)]
        needed = {entry for task in tasks if isinstance(task, str) and (entry := entry_of(task))}
        return {**values, "kinds": sorted(needed)}

    @model_validator(mode="after")
    def _check_batch_size(self) -> "RunConfig":
        parts = self.optim.accumulate * self.hardware.world_size
        if self.optim.batch_size % parts:
            raise ValueError(
                f"optim.batch_size={self.optim.batch_size} cannot be split evenly into {parts} parts "
                "(accumulate × devices × nodes)"
            )
        return self

    @model_validator(mode="after")
    def _check_lr(self) -> "RunConfig":
        if self.optim.lr is None and self.method.lr is not None:
            raise ValueError(f"optim.lr is null, and method={self.method.name} trains: set optim.lr")
        return self

    @model_validator(mode="after")
    def _check_rung(self) -> "RunConfig":
        if self.search.rung is None:
            return self
        if self.budget.limit[0] == "seconds":
            raise ValueError(
                f"search.rung={self.search.rung:g} is a fraction of the optimizer steps, and budget.seconds leaves "
                "their number open: use budget=steps, tokens or flops"
            )
        if self.search.name == "lr":
            raise ValueError("search=lr compares trials at their end, and search.rung pauses them: leave one out")
        return self

    @model_validator(mode="after")
    def _check_quantisation(self) -> "RunConfig":
        if self.method.quant not in (None, self.quant.name):
            raise ValueError(
                f"method={self.method.name} needs quant={self.method.quant}, not quant={self.quant.name}: drop the "
                "quant setting, or use method=lora"
            )
        return self

    @model_validator(mode="after")
    def _check_fsdp(self) -> "RunConfig":
        if self.hardware.strategy != "fsdp":
            return self
        if self.quant.name != "none":
            raise ValueError(
                f"hardware.strategy=fsdp cannot shard quantised weights (quant={self.quant.name}): use "
                "hardware.strategy=ddp, or quant=none with method=lora"
            )
        if self.optim.name in ("adafactor", "adamw_8bit"):  # their state is per row or block, which sharding splits
            raise ValueError(
                f"hardware.strategy=fsdp cannot shard the state of optim={self.optim.name}: use optim=adamw or "
                "sgd, or hardware.strategy=ddp"
            )
        return self

    @model_validator(mode="after")
    def _check_needs_of_the_method(self) -> "RunConfig":
        if "whole_weights" in self.method.needs and self.hardware.strategy == "fsdp":
            raise ValueError(
                f"method={self.method.name} needs whole weight matrices, and hardware.strategy=fsdp shards them: use "
                "hardware.strategy=ddp, or method=lora"
            )
        if "steps" in self.method.needs and self.budget.limit[0] == "seconds":
            raise ValueError(
                f"method={self.method.name} needs the number of optimizer steps in advance, and budget.seconds leaves "
                "it open: use budget=steps, tokens or flops, or method=lora"
            )
        if "cache" in self.method.needs and self.model.gradient_checkpointing:
            raise ValueError(
                f"method={self.method.name} needs the key/value cache, which gradient checkpointing disables: set "
                "model.gradient_checkpointing=false, or use method=prompt"
            )
        return self

    @model_validator(mode="after")
    def _check_loss(self) -> "RunConfig":
        for part in self.dataset.parts.values() or [self.dataset]:
            if misfit := self.loss.misfit(part.kind):
                raise ValueError(misfit)
        return self

    @model_validator(mode="after")
    def _check_mixture(self) -> "RunConfig":
        if not self.dataset.parts:
            return self
        unsupported = {
            "optim.packing=true": self.optim.packing,
            "optim.group_by_length=true": self.optim.group_by_length,
            "hardware.strategy=fsdp": self.hardware.strategy == "fsdp",
            "loss.contrastive": self.loss.contrastive > 0,
            "a list in loss.class_weights": isinstance(self.loss.class_weights, list),
        }
        for setting, is_set in unsupported.items():
            if is_set:
                raise ValueError(
                    f"{setting} is for a single data set, and dataset={self.dataset.name} mixes several: leave it out"
                )
        if self.dataset.mixing:
            self.dataset.mixing.require_weights_of(self.dataset.parts)
        return self

    @model_validator(mode="after")
    def _check_micro_batch_tokens(self) -> "RunConfig":
        limit = self.speed.micro_batch_tokens
        if limit in ("auto", None):
            return self
        if self.hardware.strategy == "fsdp":
            raise ValueError(
                f"speed.micro_batch_tokens={limit} gives ranks different numbers of forward passes, and "
                "hardware.strategy=fsdp needs the same number on all: set it to null, or use hardware.strategy=ddp"
            )
        if self.loss.contrastive:
            raise ValueError(
                f"speed.micro_batch_tokens={limit} separates examples that loss.contrastive compares: set it to null"
            )
        return self

    @model_validator(mode="after")
    def _check_packing(self) -> "RunConfig":
        if not self.optim.packing:
            return self
        if not self.dataset.kind.packs:
            packing = names_of(kind for kind in all_kinds() if kind.packs)
            raise ValueError(
                f"optim.packing is for dataset.task={packing}, not for {self.dataset.task}: use "
                "optim.group_by_length=true"
            )
        if "own_rows" in self.method.needs:
            raise ValueError(
                f"method={self.method.name} puts virtual tokens in front of each row, and packed examples share a row: "
                "use optim.group_by_length=true instead, or method=lora"
            )
        return self

    @model_validator(mode="after")
    def _check_split_fractions(self) -> "RunConfig":
        if self.dataset.val_fraction + self.dataset.test_fraction >= 1:
            raise ValueError("dataset.val_fraction + dataset.test_fraction must be below 1")
        return self


def validate(resolved: dict[str, Any]) -> RunConfig:
    """Return the configuration as typed, frozen values; every run starts from them.

    Args:
        resolved: composed configuration with all interpolations resolved and without the key `hydra`.

    Raises:
        ConfigError: one sentence that names the key, what is wrong with its value, and what is valid.
    """
    try:
        return RunConfig.model_validate(with_current_names(resolved))
    except ValidationError as error:
        raise ConfigError(_message(error)) from None


def _message(error: ValidationError) -> str:
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
    group = _group_of(location)
    return list(group.model_fields) if group else []


def settings_left_out(location: tuple[int | str, ...]) -> list[str]:
    """Return the settings beside the one at this location that a resolved configuration lacks while they are unset."""
    group = _group_of(location)
    return [name for name, field in group.model_fields.items() if field.exclude_if] if group else []


def _group_of(location: tuple[int | str, ...]) -> type[BaseModel] | None:
    """Return the group that has the setting at this location; None: it is no setting of a group."""
    group: type[BaseModel] = RunConfig
    if location[:2] == ("dataset", "parts"):  # a part is a data set too
        location = ("dataset", *location[3:])
    for part in location[:-1]:
        field = group.model_fields.get(str(part))
        if not (field and isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return None
        group = field.annotation
    return group
