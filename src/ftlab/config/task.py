"""Task specification: what a task needs from model, method and comparison, as plain data. Imports no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from ftlab.config.losses import LossConfig
from ftlab.core.errors import UserError
from ftlab.record import MetricColumn

Architecture = Literal["encoder", "decoder", "encoder-decoder"]
Logits = Literal["all", "labelled", "chunks"]  # computed at: all tokens, those with a loss, a few of those at a time
Problem = Literal["single_label_classification", "multi_label_classification", "regression"]


@dataclass(frozen=True, kw_only=True)
class Cloze:
    """Classification as a cloze question, with a verbalizer (Schick & Schütze, 2021, section 3).

    Attributes:
        template: pattern with `{text}` (and `{text_pair}`) for the input and `{mask}` for the gap. A causal model reads
            it up to the gap.
        words: verbalizer: the word in the gap for each class, in the order of the task's labels.
    """

    template: str
    words: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Task:
    """Specification of a task for models, methods and the comparison.

    Attributes:
        name: as in `dataset.task`.
        module: import path of the LightningModule that trains it.
        auto_class: the Transformers auto class that loads a model with the right head.
        peft_type: PEFT's task type.
        padding_side: side on which batches are padded for training.
        labels: names of the head's outputs, in their order: classes, or the targets of a regression; empty for
            language models.
        problem: Transformers' `problem_type`, if there are labels.
        loss: training loss.
        monitor: metric for early stopping and for choosing the best checkpoint.
        mode: whether a higher (`max`) or lower (`min`) monitor is better.
        columns: test metrics shown in the comparison table.
        generation_columns: metrics of generated text, shown too if the model generates on test rows; see
            `with_generation_columns`.
        cloze: classification as a cloze question for a language model; None: with a classification head.
        shots: solved training examples (demonstrations) ahead of each question (Brown et al., 2020).
        shot_tokens: maximum tokens of each of them.
        label_shares: fraction of the training rows that have each label, in the order of `labels`; for regression the
            mean of the outputs over the training rows.
        target_means: regression: added to each scaled output.
        target_scales: regression: factor of each output; with `target_means` it restores the targets' own scale.
        parts: mixture: name and task of each data set, in the order of their outputs in the head.
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
    columns: tuple[MetricColumn, ...] = ()
    generation_columns: tuple[MetricColumn, ...] = ()
    cloze: Cloze | None = None
    shots: int = 0
    shot_tokens: int = 0
    label_shares: tuple[float, ...] = ()
    target_means: tuple[float, ...] = ()
    target_scales: tuple[float, ...] = ()
    parts: tuple[tuple[str, "Task"], ...] = ()

    def with_labels(self, labels: tuple[str, ...]) -> "Task":
        """Return this task with these labels."""
        return replace(self, labels=labels)

    def with_loss(self, loss: LossConfig) -> "Task":
        """Return this task with this training loss.

        Raises:
            UserError: the loss needs a classification head, and the method uses a cloze question instead.
        """
        if loss.contrastive and self.cloze is not None:
            raise UserError(
                "loss.contrastive compares the input of a classification head, and a method that predicts words has "
                "no such head: use loss=default, or method=lora."
            )
        return replace(self, loss=loss, parts=tuple((name, part.with_loss(loss)) for name, part in self.parts))

    def output_slice(self, part: str) -> slice:
        """Return which of the head's outputs belong to a part of a mixture; all of them for language models."""
        first = 0
        for name, task in self.parts:
            if name == part:
                return slice(first, first + len(task.labels)) if task.labels else slice(None)
            first += len(task.labels)
        raise KeyError(part)

    def with_generation_columns(self) -> "Task":
        """Return this task with the metrics of generated text among its columns."""
        return replace(self, columns=self.columns + self.generation_columns, generation_columns=())

    def for_architecture(self, architecture: Architecture) -> "Task":
        """Return the task adapted to this architecture: encoder-decoders read a prompt and generate the response."""
        if self.parts:
            return mixture_task({name: part.for_architecture(architecture) for name, part in self.parts})
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
        MetricColumn(metric="accuracy", label="accuracy", higher_is_better=True),
        MetricColumn(metric="macro_f1", label="macro-F1", higher_is_better=True),
    ),
)

MULTILABEL = replace(
    CLASSIFICATION,
    name="multilabel",
    module="ftlab.tasks.multilabel.Multilabel",
    problem="multi_label_classification",
    columns=(
        MetricColumn(metric="micro_f1", label="micro-F1", higher_is_better=True),
        MetricColumn(metric="macro_f1", label="macro-F1", higher_is_better=True),
        MetricColumn(metric="subset_accuracy", label="subset accuracy", higher_is_better=True),
    ),
)

REGRESSION = replace(
    CLASSIFICATION,
    name="regression",
    module="ftlab.tasks.regression.Regression",
    problem="regression",
    columns=(
        MetricColumn(metric="spearman", label="Spearman", higher_is_better=True),
        MetricColumn(metric="pearson", label="Pearson", higher_is_better=True),
        MetricColumn(metric="mae", label="MAE", higher_is_better=False),
    ),
)

TOKEN_CLASSIFICATION = Task(  # columns for entity labels; for others the data module uses TOKEN_ACCURACY_COLUMNS
    name="token_classification",
    module="ftlab.tasks.token_classification.TokenClassification",
    auto_class="AutoModelForTokenClassification",
    peft_type="TOKEN_CLS",
    columns=(
        MetricColumn(metric="f1", label="entity F1", higher_is_better=True),
        MetricColumn(metric="precision", label="precision", higher_is_better=True),
        MetricColumn(metric="recall", label="recall", higher_is_better=True),
    ),
)

TOKEN_ACCURACY_COLUMNS = (  # for labels that mark no entities, such as parts of speech
    MetricColumn(metric="token_accuracy", label="token accuracy", higher_is_better=True),
    MetricColumn(metric="macro_f1", label="macro-F1", higher_is_better=True),
)

_LANGUAGE_MODEL = Task(
    name="text",
    module="ftlab.tasks.language_model.CausalLM",
    auto_class="AutoModelForCausalLM",
    peft_type="CAUSAL_LM",
    columns=(
        MetricColumn(metric="loss", label="loss", higher_is_better=False),
        MetricColumn(metric="perplexity", label="perplexity", higher_is_better=False),
    ),
)

TEXT = replace(
    _LANGUAGE_MODEL,
    columns=(*_LANGUAGE_MODEL.columns, MetricColumn(metric="bits_per_byte", label="bits/byte", higher_is_better=False)),
)
_ROUGE_L = MetricColumn(metric="rouge_l", label="ROUGE-L", higher_is_better=True)
INSTRUCTION = replace(_LANGUAGE_MODEL, name="instruction", generation_columns=(_ROUGE_L,))
SEQ2SEQ = replace(
    _LANGUAGE_MODEL,
    name="seq2seq",
    generation_columns=(
        _ROUGE_L,
        MetricColumn(metric="bleu", label="BLEU", higher_is_better=True),
        MetricColumn(metric="chrf", label="chrF", higher_is_better=True),
    ),
)
MASKED_LM = replace(
    _LANGUAGE_MODEL,
    name="masked_lm",
    module="ftlab.tasks.language_model.MaskedLM",
    auto_class="AutoModelForMaskedLM",
    peft_type="FEATURE_EXTRACTION",  # PEFT has no type for masked LMs; this one passes all inputs through
)

MIXTURE = replace(CLASSIFICATION, name="mixture", module="ftlab.tasks.mixture.Mixture", columns=())

TASKS = {
    task.name: task
    for task in (
        *(CLASSIFICATION, MULTILABEL, REGRESSION, TOKEN_CLASSIFICATION, INSTRUCTION, SEQ2SEQ, TEXT, MASKED_LM),
        MIXTURE,
    )
}


def mixture_task(parts: Mapping[str, Task]) -> Task:
    """Return the task of one model on several data sets.

    The heads are concatenated in one layer with outputs `part/label`. Every output has its own weights, so this equals
    a head per part on a shared backbone. Layers of a model's head before that one, such as a pooler, are shared.

    Args:
        parts: name -> task.

    Raises:
        UserError: the parts need models with different kinds of heads.
    """
    first = next(iter(parts.values()))
    for name, part in parts.items():
        if part.auto_class != first.auto_class:
            raise UserError(
                f"the parts {next(iter(parts))} ({first.name}) and {name} ({part.name}) cannot share a model: one "
                f"needs {first.auto_class}, the other {part.auto_class}; train them separately."
            )
    part_columns = [_part_column(name, column) for name, part in parts.items() for column in part.columns]
    return replace(
        MIXTURE,
        auto_class=first.auto_class,
        peft_type=first.peft_type,
        padding_side=first.padding_side,
        labels=tuple(f"{name}/{label}" for name, part in parts.items() for label in part.labels),
        columns=(*_mean_columns(list(parts.values())), *part_columns),
        parts=tuple(parts.items()),
    )


def _mean_columns(parts: Sequence[Task]) -> list[MetricColumn]:
    """Return a column of the mean over all parts for each metric that all parts have."""
    shared = [column for column in parts[0].columns if all(column in part.columns for part in parts)]
    return [column.model_copy(update={"label": f"mean {column.label}"}) for column in shared]


def _part_column(name: str, column: MetricColumn) -> MetricColumn:
    return MetricColumn(
        metric=f"{name}/{column.metric}", label=f"{name} {column.label}", higher_is_better=column.higher_is_better
    )


def require_single_dataset(task: Task, method: str) -> None:
    """Refuse a mixture for a method that works on a single data set.

    Raises:
        UserError: the task is a mixture.
    """
    if task.parts:
        raise UserError(
            f"method={method} works on one data set at a time, and dataset.task=mixture has {len(task.parts)}: use "
            "method=lora, or run it on each part alone."
        )
