"""What a task needs of the model, the tuning method and the comparison, as plain data (no torch)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from ftlab.errors import UserError
from ftlab.losses import LossConfig
from ftlab.record import Column

Architecture = Literal["encoder", "decoder", "encoder-decoder"]
Logits = Literal["all", "labelled", "chunks"]  # made by language models: all, where labelled, of those some at a time
Problem = Literal["single_label_classification", "multi_label_classification", "regression"]


@dataclass(frozen=True, kw_only=True)
class Cloze:
    """Classification posed as a text with a gap, and a word for each class (Schick & Schütze, 2021, section 3).

    Attributes:
        template: a solved example, with `{text}` (and `{text_pair}`) for what is given and `{mask}` for the gap. A
            model that writes from left to right reads it up to the gap.
        words: what stands in the gap for each class, in the order of the task's labels.
    """

    template: str
    words: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task as methods and models see it.

    Attributes:
        name: as in `dataset.task`.
        module: import path of the LightningModule that trains it.
        auto_class: the Transformers auto class that loads a model with the right head.
        peft_type: PEFT's task type.
        padding_side: side on which batches are padded for training.
        labels: what the head's outputs stand for, in their order: class names, or of regression the targets' names;
            empty where there are none.
        problem: what the outputs are, in Transformers' terms, where there are labels.
        loss: what training minimises.
        monitor: metric that early stopping and the choice of the best checkpoint watch.
        mode: whether a higher (`max`) or lower (`min`) monitor is better.
        columns: test metrics shown in the comparison table.
        written: those that are shown too where test rows are answered, see `writing`.
        cloze: how classification is put to a language model; None: a classification head answers.
        shots: solved training examples shown ahead of each question (Brown et al., 2020).
        shot_tokens: most tokens of each of them.
        label_shares: share of the training rows that have each label, in the order of `labels`; of regression the
            outputs' mean over the training rows.
        target_means: regression: what is added to each output times its scale.
        target_scales: regression: what each output is multiplied by, to be on the targets' own scale.
        parts: of a mixture: the name and task of each data set, in the order in which the head has their outputs.
    """

    name: str
    module: str
    auto_class: str
    peft_type: str
    padding_side: Literal["left", "right"] = "right"
    labels: tuple[str, ...] = ()
    problem: Problem = "single_label_classification"
    loss: LossConfig = field(default_factory=LossConfig)
    monitor: str = "val/loss"
    mode: Literal["min", "max"] = "min"
    columns: tuple[Column, ...] = ()
    written: tuple[Column, ...] = ()
    cloze: Cloze | None = None
    shots: int = 0
    shot_tokens: int = 0
    label_shares: tuple[float, ...] = ()
    target_means: tuple[float, ...] = ()
    target_scales: tuple[float, ...] = ()
    parts: tuple[tuple[str, "Task"], ...] = ()

    def with_labels(self, labels: tuple[str, ...]) -> "Task":
        """Return the same task for these class names."""
        return replace(self, labels=labels)

    def with_loss(self, loss: LossConfig) -> "Task":
        """Return the same task for training with this loss.

        Raises:
            UserError: it needs what the head reads, and the method has posed the task without a head.
        """
        if loss.contrastive and self.cloze is not None:
            raise UserError(
                "loss.contrastive compares what a classification head reads, and a method that answers with words has "
                "no such head: use loss=default, or method=lora."
            )
        return replace(self, loss=loss, parts=tuple((name, part.with_loss(loss)) for name, part in self.parts))

    def outputs(self, part: str) -> slice:
        """Return which of the head's outputs are those of a part; all, where no head is new."""
        first = 0
        for name, task in self.parts:
            if name == part:
                return slice(first, first + len(task.labels)) if task.labels else slice(None)
            first += len(task.labels)
        raise KeyError(part)

    def writing(self) -> "Task":
        """Return the same task, of which what the model writes is measured as well."""
        return replace(self, columns=self.columns + self.written, written=())

    def on(self, architecture: Architecture) -> "Task":
        """Return the task as models of this architecture do it: encoder-decoders read a prompt and write the rest."""
        if self.parts:
            return mixture({name: part.on(architecture) for name, part in self.parts})
        if architecture == "encoder-decoder" and self.name in (INSTRUCTION.name, SEQ2SEQ.name):
            return replace(
                self,
                module="ftlab.tasks.language_model.Seq2Seq",
                auto_class="AutoModelForSeq2SeqLM",
                peft_type="SEQ_2_SEQ_LM",
            )
        return self


CLASSIFICATION = Task(
    name="classification",
    module="ftlab.tasks.classification.Classification",
    auto_class="AutoModelForSequenceClassification",
    peft_type="SEQ_CLS",
    columns=(
        Column(metric="accuracy", label="accuracy", higher_is_better=True),
        Column(metric="macro_f1", label="macro-F1", higher_is_better=True),
    ),
)

MULTILABEL = replace(
    CLASSIFICATION,
    name="multilabel",
    module="ftlab.tasks.multilabel.Multilabel",
    problem="multi_label_classification",
    columns=(
        Column(metric="micro_f1", label="micro-F1", higher_is_better=True),
        Column(metric="macro_f1", label="macro-F1", higher_is_better=True),
        Column(metric="subset_accuracy", label="subset accuracy", higher_is_better=True),
    ),
)

REGRESSION = replace(
    CLASSIFICATION,
    name="regression",
    module="ftlab.tasks.regression.Regression",
    problem="regression",
    columns=(
        Column(metric="spearman", label="Spearman", higher_is_better=True),
        Column(metric="pearson", label="Pearson", higher_is_better=True),
        Column(metric="mae", label="MAE", higher_is_better=False),
    ),
)

TOKEN_CLASSIFICATION = Task(  # of labels that mark entities; of others see its data module
    name="token_classification",
    module="ftlab.tasks.token_classification.TokenClassification",
    auto_class="AutoModelForTokenClassification",
    peft_type="TOKEN_CLS",
    columns=(
        Column(metric="f1", label="entity F1", higher_is_better=True),
        Column(metric="precision", label="precision", higher_is_better=True),
        Column(metric="recall", label="recall", higher_is_better=True),
    ),
)

LABELLED_WORDS = (  # columns of a task whose labels mark no entities, such as parts of speech
    Column(metric="token_accuracy", label="token accuracy", higher_is_better=True),
    Column(metric="macro_f1", label="macro-F1", higher_is_better=True),
)

_LANGUAGE_MODEL = Task(
    name="text",
    module="ftlab.tasks.language_model.CausalLM",
    auto_class="AutoModelForCausalLM",
    peft_type="CAUSAL_LM",
    columns=(
        Column(metric="loss", label="loss", higher_is_better=False),
        Column(metric="perplexity", label="perplexity", higher_is_better=False),
    ),
)

TEXT = replace(
    _LANGUAGE_MODEL,
    columns=(*_LANGUAGE_MODEL.columns, Column(metric="bits_per_byte", label="bits/byte", higher_is_better=False)),
)
_ROUGE_L = Column(metric="rouge_l", label="ROUGE-L", higher_is_better=True)
INSTRUCTION = replace(_LANGUAGE_MODEL, name="instruction", written=(_ROUGE_L,))
SEQ2SEQ = replace(
    _LANGUAGE_MODEL,
    name="seq2seq",
    written=(
        _ROUGE_L,
        Column(metric="bleu", label="BLEU", higher_is_better=True),
        Column(metric="chrf", label="chrF", higher_is_better=True),
    ),
)
MASKED_LM = replace(
    _LANGUAGE_MODEL,
    name="masked_lm",
    module="ftlab.tasks.language_model.MaskedLM",
    auto_class="AutoModelForMaskedLM",
    peft_type="FEATURE_EXTRACTION",  # PEFT knows no masked language models; this type passes through what goes in
)

MIXTURE = replace(CLASSIFICATION, name="mixture", module="ftlab.tasks.mixture.Mixture", columns=())

TASKS = {
    task.name: task
    for task in (
        *(CLASSIFICATION, MULTILABEL, REGRESSION, TOKEN_CLASSIFICATION, INSTRUCTION, SEQ2SEQ, TEXT, MASKED_LM),
        MIXTURE,
    )
}


def mixture(parts: Mapping[str, Task]) -> Task:
    """Return the task of several data sets on one model.

    The heads stand side by side in one layer, whose outputs are named `part/label`: a head of each part's own on what
    all share, as every output has weights of its own. What is before that layer in a model's head, as a pooler, is
    shared.

    Args:
        parts: name -> task.

    Raises:
        UserError: they need models with heads of different kinds.
    """
    first = next(iter(parts.values()))
    for name, part in parts.items():
        if part.auto_class != first.auto_class:
            raise UserError(
                f"the parts {next(iter(parts))} ({first.name}) and {name} ({part.name}) cannot share a model, one "
                f"needs {first.auto_class} and the other {part.auto_class}: train them apart."
            )
    return replace(
        MIXTURE,
        auto_class=first.auto_class,
        peft_type=first.peft_type,
        padding_side=first.padding_side,
        labels=tuple(f"{name}/{label}" for name, part in parts.items() for label in part.labels),
        columns=(*_means(list(parts.values())), *(_under(name, c) for name, p in parts.items() for c in p.columns)),
        parts=tuple(parts.items()),
    )


def _means(parts: Sequence[Task]) -> list[Column]:
    """Return the columns that all parts have, of the mean over them."""
    shared = [column for column in parts[0].columns if all(column in part.columns for part in parts)]
    return [column.model_copy(update={"label": f"mean {column.label}"}) for column in shared]


def _under(name: str, column: Column) -> Column:
    return Column(
        metric=f"{name}/{column.metric}", label=f"{name} {column.label}", higher_is_better=column.higher_is_better
    )


def require_one_data_set(task: Task, method: str) -> None:
    """Refuse a mixture for a method that answers for one data set.

    Raises:
        UserError: it is one.
    """
    if task.parts:
        raise UserError(
            f"method={method} answers for one data set at a time, and dataset.task=mixture has {len(task.parts)}: use "
            "method=lora, or run it on each part alone."
        )
