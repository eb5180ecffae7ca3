"""The parts of a run record: what is known of a run, and what was measured."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

CheckStatus = Literal["passed", "failed", "skipped"]


class Frozen(BaseModel):
    """Values that stay as they are, and nothing else among them."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")


class Metric(Frozen):
    """One measured value. A metric that could not be computed has value null and says why in `status`."""

    value: float | None
    n: int  # examples (tokens or entities, for metrics of those) behind the value
    status: str = "ok"
    signature: str | None = None  # how it was computed, where one name stands for several ways


class Sample(Frozen):
    """What the trained model answered to a test example; long texts are cut."""

    prompt: str
    expected: str
    written: str


class Column(Frozen):
    """A test metric that the task wants to see in the comparison table."""

    metric: str
    label: str
    higher_is_better: bool


class Failure(Frozen):
    """Why a run did not complete."""

    type: str
    message: str
    step: int | None = None  # optimizer steps done when it happened
    traceback: str | None = None


class Process(Frozen):
    """Who writes this record: a pid means nothing without host and start time."""

    host: str
    pid: int
    started_at: float  # process creation, seconds since the epoch
    heartbeat: float  # last sign of life, seconds since the epoch


class Progress(Frozen):
    """How far training is, as of the last sign of life."""

    step: int  # optimizer steps done
    steps: int  # of the whole run
    loss: float | None  # the last training loss
    validated: float | None = None  # what the task watches, at the last validation
    validated_at: int | None = None  # its step
    best: float | None = None  # of all validations; the weights of that one are tested and saved
    peak_memory_bytes: int | None = None  # of training, as in Cost


class OutOfMemory(Frozen):
    """An attempt that ran out of memory, and was followed by one with half the micro-batch."""

    micro_batch_size: int
    accumulate: int
    step: int | None  # optimizer steps done
    peak_memory_bytes: int | None  # as the process saw it
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


class Part(Frozen):
    """One data set of a mixture; its metrics stand under its name, beside the means over all."""

    task: str
    share: float  # of the training rows that were drawn; those of all parts add up to 1
    rows: dict[str, int]  # split -> rows used
    columns: dict[str, str | list[str]] = Field(default_factory=dict)  # as in Data, and so are the next
    unknown_token_share: float | None = None
    truncated_share: float | None = None
    labels: list[str] = Field(default_factory=list)
    target_means: list[float] = Field(default_factory=list)
    target_scales: list[float] = Field(default_factory=list)


class Data(Frozen):
    hash: str  # of the mapped rows of every split, in order
    rows: dict[str, int]  # split -> rows used
    columns: dict[str, str | list[str]] = Field(
        default_factory=dict
    )  # role -> column of the source, as set or detected
    notes: list[str] = Field(default_factory=list)  # what was found out about the rows, as their shape
    dropped: dict[str, int] = Field(default_factory=dict)  # reason -> rows left out
    unknown_token_share: float | None = None
    truncated_share: float | None = None  # share of training rows cut to max_length
    labels: list[str] = Field(default_factory=list)  # of regression the targets' names
    # regression: what the model's outputs times the scales, plus the means, are the targets of
    target_means: list[float] = Field(default_factory=list)
    target_scales: list[float] = Field(default_factory=list)
    # of a mixture: name -> its data; shares that are null above are here, and labels above are `part/label`
    parts: dict[str, Part] = Field(default_factory=dict)


class Latency(Frozen):
    """Seconds per example of a forward pass without gradients on test rows, each the median of a few.

    Of a language model it is one pass over an example's tokens, no writing. What could not be measured is null.
    """

    one_s: float | None = None  # examples alone
    batch_s: float | None = None  # of a batch of `batch_size`, padding included
    batch_size: int | None = None
    merged_one_s: float | None = None  # the same with the adapter folded into the base's weights
    merged_batch_s: float | None = None
    status: str = "ok"  # why nothing was measured
    merged_status: str = "ok"  # why nothing was measured of the merged model


class PredictedMemory(Frozen):
    """Bytes of one training process. The parts need not be there at the same moment: `peak` is no sum of them."""

    weights: int  # of the base and of what the method adds
    gradients: int
    optimizer: int  # its state after a step
    activations: int  # kept by the forward pass of the longest micro-batch for the backward pass
    baseline: int  # what else is there when training begins: libraries, rows; on a GPU next to nothing
    peak: int  # high-water mark of the steps that were tried

    @property
    def workspace(self) -> int:
        """Return what the peak has beside the parts: temporary tensors, the allocator's reserve; may be below 0."""
        return self.peak - (self.weights + self.gradients + self.optimizer + self.activations + self.baseline)


class Prediction(Frozen):
    """What a run would take, known before it began (`plan`), from a few optimizer steps in a process of its own."""

    memory_bytes: PredictedMemory
    train_s: float  # training alone, as in Cost
    train_cpu_s: float | None = None  # as in Cost
    trainable: int  # parameters
    total: int
    optimizer_steps: int  # of the whole run
    micro_batch_size: int
    probe_steps: int  # that were tried
    probe_s: float  # seconds that they took


class Budget(Frozen):
    """What the run was given, and what it used of it; a budget in steps, tokens or FLOPs is never exceeded."""

    unit: str  # epochs | steps | tokens | seconds | flops
    limit: float
    used: float  # of tokens real ones, of seconds those of training alone, of FLOPs the estimate of ftlab.flops


class Cost(Frozen):
    """Where the time and the memory went. Training excludes validation, set-up and the final test."""

    setup_s: float
    train_s: float
    eval_s: float
    optimizer_steps: int
    examples_seen: int
    tokens_seen: int  # real tokens: padding does not count
    padding_share: float | None = None  # of the positions in training batches
    examples_per_s: float | None
    tokens_per_s: float | None
    peak_memory_bytes: int | None  # high-water mark of training alone (process RSS, or GPU allocator)
    baseline_memory_bytes: int | None  # the same measure when training began
    peak_memory_source: str  # how it was measured
    base_weight_bytes: int  # bytes of the base model's weights as held in memory (quantised where so)
    train_cpu_s: float | None = None  # processor time of the same, all threads: other jobs here stretch it little
    training_flops: float | None = None  # estimated, of real tokens, see ftlab.flops; virtual tokens are not counted
    spared_flops: float = 0.0  # of these, what was not computed: kept frozen trunks, less filling; last blocks
    latency: Latency | None = None  # null: not asked for
    energy_joules: float | None = None  # that the GPUs drew in training, idle power and other jobs on them included
    energy_status: str = "not measured"  # ok, or why there is none


class Parameters(Frozen):
    trainable: int
    total: int
    adapter_bytes: int | None = None  # size on disk of what the method saved


class Check(Frozen):
    status: CheckStatus
    detail: str
