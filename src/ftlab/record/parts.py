"""Parts of a run record: facts about a run, and its measurements."""

from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator

CheckStatus = Literal["passed", "failed", "skipped"]
PredictionType = Literal["class", "labels", "numbers", "tags", "tokens", "other"]  # what a prediction is
# of records that were written before `predicts` existed; a new kind is never added
_PREDICTS: dict[str, PredictionType] = {
    "classification": "class",
    "multilabel": "labels",
    "regression": "numbers",
    "token_classification": "tags",
    "instruction": "tokens",
    "seq2seq": "tokens",
    "text": "tokens",
    "masked_lm": "tokens",
}


# phases of a run's cost; a run may have others
SETUP, TRAIN, EVAL = "setup", "train", "eval"  # follow one another
GENERATE = "generate"  # a model generates text, in training or evaluation


class Frozen(BaseModel):
    """Immutable values; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")


def with_prediction_type(values: Any) -> Any:
    """Return the values of a record or of a part of one, with what its task kind predicts if they are older."""
    if isinstance(values, dict) and "predicts" not in values:
        return {**values, "predicts": _PREDICTS.get(str(values.get("task")), "other")}
    return values


class Metric(Frozen):
    """One measured value; null if it could not be computed, with the reason in `status`."""

    value: float | None
    n: int  # examples (tokens or entities, for metrics of those) behind the value
    status: str = "ok"
    signature: str | None = None  # how it was computed, if its name has several definitions


class Sample(Frozen):
    """Text that the trained model generated for a test example; long texts are cut."""

    prompt: str
    expected: str
    written: str


class MetricColumn(Frozen):
    """Test metric that the comparison table shows for a task."""

    metric: str
    label: str
    higher_is_better: bool


class Failure(Frozen):
    """Reason why a run did not complete."""

    type: str
    message: str
    step: int | None = None  # completed optimizer steps when it happened
    traceback: str | None = None

    @property
    def summary(self) -> str:
        """The error's type and the first line of its message."""
        lines = self.message.strip().splitlines()
        return f"{self.type}: {lines[0].strip()}" if lines else self.type


class Process(Frozen):
    """Process that writes the record; a pid is only unique together with host and start time."""

    host: str
    pid: int
    started_at: float  # process creation, seconds since the epoch
    heartbeat: float  # last update, seconds since the epoch


class Progress(Frozen):
    """Progress of training at the last heartbeat."""

    step: int  # completed optimizer steps
    steps: int  # of the whole run
    loss: float | None  # the last training loss
    validated: float | None = None  # the monitored metric at the last validation
    validated_at: int | None = None  # its step
    best: float | None = None  # best value of all validations; the weights of that one are tested and saved
    peak_memory_bytes: int | None = None  # of training, as in Cost


class StageProgress(Frozen):
    """What a run does at the last heartbeat, and how far it is in that."""

    name: str  # see ftlab.core.run_stage; another version may have others
    done: int = 0  # steps, batches, rows or texts
    total: int | None = None  # null: not known
    # estimate of the seconds until its end; of training, with its validations
    left_s: float | None = Field(default=None, allow_inf_nan=False)


class OutOfMemory(Frozen):
    """Attempt that ran out of memory and was followed by one with half the micro-batch."""

    micro_batch_size: int
    accumulate: int
    step: int | None  # completed optimizer steps
    peak_memory_bytes: int | None  # as measured in the process
    message: str


class Hardware(Frozen):
    device: str  # "cpu" or the accelerator's name
    accelerator: str  # cpu | gpu | mps
    devices: int  # over all nodes
    precision: str  # as used, e.g. 32-true
    cpu: str
    cores: int
    memory_bytes: int
    threads: int | None = None  # CPU threads per process


class MixturePart(Frozen):
    """One data set of a mixture; `RunRecord.metrics` has its metrics by its name, beside the means over all parts."""

    task: str
    predicts: PredictionType
    share: float  # fraction of the sampled training rows; those of all parts add up to 1
    rows: dict[str, int]  # split -> rows used
    columns: dict[str, str | list[str]] = Field(default_factory=dict)  # as in Data, like the following fields
    unknown_token_share: float | None = None
    truncated_share: float | None = None
    labels: list[str] = Field(default_factory=list)
    target_means: list[float] = Field(default_factory=list)
    target_scales: list[float] = Field(default_factory=list)

    _of_older_records = model_validator(mode="before")(with_prediction_type)


class Data(Frozen):
    hash: str  # of the mapped rows of every split, in order
    rows: dict[str, int]  # split -> rows used
    # role -> column of the source, as set or detected
    columns: dict[str, str | list[str]] = Field(default_factory=dict)
    notes: list[str] = Field(default_factory=list)  # what was detected about the rows, such as their format
    row_warnings: list[str] = Field(default_factory=list)  # those of the record's warnings that are about the rows
    dropped: dict[str, int] = Field(default_factory=dict)  # reason -> number of rows left out
    unknown_token_share: float | None = None
    truncated_share: float | None = None  # fraction of training rows cut to max_length
    labels: list[str] = Field(default_factory=list)  # regression: the targets' names
    # regression: outputs * scales + means are predictions on the targets' own scale
    target_means: list[float] = Field(default_factory=list)
    target_scales: list[float] = Field(default_factory=list)
    # mixture: name -> its data; the shares that are null above are here, and the labels above are `part/label`
    parts: dict[str, MixturePart] = Field(default_factory=dict)


class Latency(Frozen):
    """Seconds per example of a forward pass without gradients on test rows, each the median of several passes.

    For a language model it is one pass over an example's tokens, without generation. Null: could not be measured.
    Every `validation_alias` is the name of the field in records from before December 2026.
    """

    # one example at a time
    single_example_s: float | None = Field(default=None, validation_alias=AliasChoices("single_example_s", "one_s"))
    # in batches of `batch_size`, padding included
    batched_s: float | None = Field(default=None, validation_alias=AliasChoices("batched_s", "batch_s"))
    batch_size: int | None = None
    # the same with the adapter merged into the base's weights
    merged_single_example_s: float | None = Field(
        default=None, validation_alias=AliasChoices("merged_single_example_s", "merged_one_s")
    )
    merged_batched_s: float | None = Field(
        default=None, validation_alias=AliasChoices("merged_batched_s", "merged_batch_s")
    )
    status: str = "ok"  # or why nothing was measured
    merged_status: str = "ok"  # or why the merged model was not measured


class MemoryEstimate(Frozen):
    """Bytes of one training process. The parts are not all allocated at the same time: `peak` is not their sum."""

    weights: int  # of the base, of the parameters that the method adds, and of a frozen second base
    gradients: int
    optimizer: int  # its state after a step
    activations: int  # kept by the forward pass of the longest micro-batch for the backward pass
    baseline: int  # other memory when training begins: libraries, rows; close to 0 on a GPU
    peak: int  # high-water mark of the probe steps

    @property
    def workspace(self) -> int:
        """Return the peak minus the parts: temporary tensors, the allocator's reserve; may be negative."""
        return self.peak - (self.weights + self.gradients + self.optimizer + self.activations + self.baseline)


class CostEstimate(Frozen):
    """Estimate of memory and time of a run (`plan`), from a few optimizer steps in a separate process."""

    memory_bytes: MemoryEstimate
    train_s: float  # training alone, as in Cost
    train_cpu_s: float | None = None  # as in Cost
    trainable: int  # parameters
    total: int
    optimizer_steps: int  # of the whole run
    micro_batch_size: int
    probe_steps: int  # optimizer steps that were tried
    probe_s: float  # seconds that they took
    setup_s: float | None = None  # as in Cost; null in older plans, as the next two
    validation_s: float | None = None  # all validations of the run
    test_s: float | None = None  # with perturbed rows, and generated text, which may be shorter

    def total_s(self, *, with_test: bool = True) -> float:
        """Return the seconds of the run; a trial of a search has no test."""
        test_s = self.test_s if with_test else None
        return self.train_s + sum(seconds or 0.0 for seconds in (self.setup_s, self.validation_s, test_s))

    @property
    def evaluation_s(self) -> float:
        """Seconds of validation and test."""
        return (self.validation_s or 0.0) + (self.test_s or 0.0)


class Budget(Frozen):
    """Budget of the run, and how much of it was used; a budget in steps, tokens or FLOPs is never exceeded."""

    unit: str  # epochs | steps | tokens | seconds | flops
    limit: float
    used: float  # tokens: without padding; seconds: of training alone; FLOPs: the estimate of ftlab.models.flops


class Cost(Frozen):
    """Time and memory of a run. Training excludes validation, set-up and the final test."""

    setup_s: float
    train_s: float
    eval_s: float
    # phase -> seconds in it alone; they add up to setup_s + train_s + eval_s: train is without generate within it
    phases: dict[str, float] = Field(default_factory=dict)  # empty in older records
    generated_tokens: int | None = None  # with stop tokens, in training and evaluation; null: nothing was generated
    optimizer_steps: int
    examples_seen: int
    tokens_seen: int  # without padding
    padding_share: float | None = None  # fraction of the positions in training batches
    examples_per_s: float | None
    tokens_per_s: float | None
    peak_memory_bytes: int | None  # high-water mark of training alone (process RSS, or GPU allocator)
    baseline_memory_bytes: int | None  # the same measure when training began
    peak_memory_source: str  # how it was measured
    base_weight_bytes: int  # bytes of the base model's weights in memory, quantised if they are
    # of a second, frozen base as reference model; 0: the trained model with its method switched off; null: no reference
    reference_weight_bytes: int | None = None
    train_cpu_s: float | None = None  # processor time of training, all threads; other jobs affect it little
    # estimated, without padding and virtual tokens, see ftlab.models.flops
    training_flops: float | None = None
    # part of training_flops that was not computed: cached frozen layers (minus filling the cache), CLS-only last blocks
    spared_flops: float = 0.0
    latency: Latency | None = None  # null: not measured (hardware.measure_latency)
    energy_joules: float | None = None  # drawn by the GPUs in training, including idle power and other jobs on them
    energy_status: str = "not measured"  # ok, or why there is no value


class Parameters(Frozen):
    trainable: int
    total: int
    adapter_bytes: int | None = None  # size on disk of the saved weights


class Check(Frozen):
    status: CheckStatus
    detail: str
