"""Task kind: what data, model, method, training and comparison need to know of one kind of task. Imports no torch."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from ftlab.record import MetricColumn, PredictionType

LossSetting = Literal["class_weights", "label_smoothing", "contrastive"]
ImportPath = Annotated[str, Field(pattern=r"^\w+(\.\w+)+$")]  # of a class or function: package.module.Name

REFERENCES = "references"  # sparse role of a column with texts that are as right as the one to learn

_CHECKED = ConfigDict(strict=True, extra="forbid")  # a kind is often a user's


@dataclass(frozen=True, config=_CHECKED)
class Roles:
    """The columns of a kind of task.

    Attributes:
        required: roles that every row needs.
        optional: roles that a row may have.
        inputs: roles that are the model's input; the others are its target.
        lists: roles whose value is a list of texts.
        unjoined: roles of which a list of texts is an error; for other roles the texts are joined into one.
        conversation: role of a column with whole conversations, `messages`; if set, it replaces all other roles.
        sparse: roles that only rows with a value in their column have: the system prompt and the turns before a prompt.
            They are input too, and neither perturbed nor measured; but `references` are no input.
        referenced: role of the text to learn, if a list of texts in it, or in `references`, means that any is right:
            the first is learned, and generated text is scored by all.
    """

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    unjoined: tuple[str, ...] = ()
    conversation: str | None = None
    sparse: tuple[str, ...] = ()
    referenced: str | None = None

    def __post_init__(self) -> None:
        """Refuse roles that are used and not declared."""
        for role in (*self.inputs, *self.lists, *self.unjoined, *([self.referenced] if self.referenced else [])):
            if role not in self.all:
                raise ValueError(f"{role} is neither among the required nor among the optional ones")

    @property
    def sparse_inputs(self) -> tuple[str, ...]:
        """The sparse roles that are input."""
        return tuple(role for role in self.sparse if role != REFERENCES)

    @property
    def all(self) -> tuple[str, ...]:
        """Every role, required ones first."""
        return self.required + self.optional + self.sparse + ((self.conversation,) if self.conversation else ())


@dataclass(frozen=True, kw_only=True, config=_CHECKED)
class Head:
    """What a base model needs for a kind of task, and what then trains it.

    Attributes:
        auto_class: the Transformers auto class that loads a model with the right head.
        peft_type: PEFT's task type.
        module: import path of the LightningModule, a `ftlab.tasks.base.TaskModule`.
    """

    auto_class: str
    peft_type: str
    module: ImportPath

    @property
    def labels_whole_text(self) -> bool:
        """Whether a new head reads the whole text, so that an example's label is a class or a vector."""
        return self.auto_class == "AutoModelForSequenceClassification"

    @property
    def predicts_tokens(self) -> bool:
        """Whether there are logits over the vocabulary."""
        return self.auto_class in ("AutoModelForCausalLM", "AutoModelForMaskedLM", "AutoModelForSeq2SeqLM")


@dataclass(frozen=True, kw_only=True, config=_CHECKED)
class TaskKind:
    """A kind of task. Classes and functions are import paths, so that a kind is known without importing torch.

    Attributes:
        name: value of `dataset.task`.
        roles: columns of its data.
        data: import path of its `ftlab.data.base.DataModule`, whose `kind` is this one.
        head: head of the model, and the LightningModule.
        encoder_decoder_head: that of encoder-decoders; None: `head`.
        predicts: what a prediction is. It decides which breakdowns and tests on examples are computed from the rows
            that the LightningModule's `evaluate` returns: `class` (`label` and `prediction` are names of
            `Task.labels`), `labels` (lists of them), `numbers`, `tags` (a list with a name for each word), `tokens`
            (`tokens` and `token_accuracy`), or `other`, of which only its loss and its own columns are known.
        monitor: metric for early stopping and for choosing the best checkpoint.
        mode: whether a higher (`max`) or lower (`min`) monitor is better.
        columns: test metrics shown in the comparison table. Rows are sorted by the first, and differences in it are
            tested. A metric of one's own is tested on examples if each dict that `evaluate` returns has its value for
            that example under the metric's name, and the metric is the mean of these.
        generation_columns: metrics of generated text, shown too if the model generates on test rows.
        losses: training losses (`loss.name`) that fit, besides `default`.
        loss_settings: other settings of `loss` that fit.
        settings: settings of `dataset` that only some kinds have, and this one does.
        preview: import path of the `ftlab.preview.kind_preview.KindPreview` that shows its examples; None: `ftlab data`
            cannot show it.
        predict: import path of the function that predicts new rows, a `ftlab.inference.loaded_run.PredictRows`; None:
            the trained model predicts nothing.
        usage: import path of the function that returns code to use an exported model, a
            `ftlab.inference.snippets.UsageLines`.
        rates_of: ftlab's kind whose learning rate (`method.lr_by_task`) holds where a method has none for this kind.
        packs: whether several examples can share a row.
        masks: whether inputs are masked anew in each epoch.
        mixes: whether its data can be part of a mixture.
        mixture: whether it is the mixture of several data sets, each of its own kind.
        cloze: whether it can be a cloze question, answered with the word of one class; its data class must encode
            `Task.cloze`, as `ClassificationData` does.
        demonstrations: whether solved examples can be put before a question; its data class defines
            `select_demonstrations`.
        needs_reference: whether the loss compares the model with the base as it was before training: its
            LightningModule then has a `ftlab.methods.reference.ReferenceModel` as `reference_model`.
        preload: modules that take long to import and that its jobs need; the process that jobs are forked from imports
            them, for ftlab's own kinds alone.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    roles: Roles
    data: ImportPath
    head: Head
    encoder_decoder_head: Head | None = None
    predicts: PredictionType
    monitor: Annotated[str, Field(pattern="^val/.")] = "val/loss"
    mode: Literal["min", "max"] = "min"
    columns: tuple[MetricColumn, ...]
    generation_columns: tuple[MetricColumn, ...] = ()
    losses: tuple[str, ...] = ()
    loss_settings: tuple[LossSetting, ...] = ()
    settings: tuple[str, ...] = ()
    preview: ImportPath | None
    predict: ImportPath | None
    usage: ImportPath
    rates_of: str
    packs: bool = False
    masks: bool = False
    mixes: bool = True
    mixture: bool = False
    cloze: bool = False
    demonstrations: bool = False
    needs_reference: bool = False
    preload: tuple[str, ...] = ()

    @property
    def generates(self) -> bool:
        """Whether rows are prompts with responses, so that the model can generate text for test rows."""
        return bool(self.generation_columns)
