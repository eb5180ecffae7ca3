"""Task: a task kind with what varies within it, adapted to an architecture and a method. Imports no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ftlab.config.losses import LossConfig
from ftlab.config.task_kind import Head, TaskKind
from ftlab.core.errors import UserError
from ftlab.record import MetricColumn

Architecture = Literal["encoder", "decoder", "encoder-decoder"]
Problem = Literal["single_label_classification", "multi_label_classification", "regression"]
Logits = Literal["all", "labelled", "chunks"]  # computed at: all tokens, those with a loss, a few of those at a time


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
    """A task, as models, methods and the comparison need it.

    Attributes:
        kind: the kind of task.
        head: what the model needs for it, and the LightningModule that trains it.
        padding_side: side on which batches are padded for training.
        labels: names of the head's outputs, in their order: classes, or the targets of a regression; empty for
            language models.
        loss: training loss.
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

    kind: TaskKind
    head: Head
    padding_side: Literal["left", "right"] = "right"
    labels: tuple[str, ...] = ()
    loss: LossConfig = field(default_factory=LossConfig)
    columns: tuple[MetricColumn, ...]
    generation_columns: tuple[MetricColumn, ...]
    cloze: Cloze | None = None
    shots: int = 0
    shot_tokens: int = 0
    label_shares: tuple[float, ...] = ()
    target_means: tuple[float, ...] = ()
    target_scales: tuple[float, ...] = ()
    parts: tuple[tuple[str, "Task"], ...] = ()

    @classmethod
    def of(cls, kind: TaskKind, **facts: Any) -> "Task":
        """Return the task of a kind; `facts` are the fields that the kind does not decide, such as `labels`."""
        decided: dict[str, Any] = {
            "head": kind.head,
            "columns": kind.columns,
            "generation_columns": kind.generation_columns,
        }
        return cls(kind=kind, **(decided | facts))

    @property
    def name(self) -> str:
        """Name of the kind, as in `dataset.task`."""
        return self.kind.name

    @property
    def problem(self) -> Problem:
        """Transformers' `problem_type`, if there are labels."""
        problems: dict[str, Problem] = {"labels": "multi_label_classification", "numbers": "regression"}
        return problems.get(self.kind.predicts, "single_label_classification")

    @property
    def decoder_writes(self) -> bool:
        """Whether an encoder-decoder reads the input and its decoder writes the labels."""
        return self.head.auto_class == "AutoModelForSeq2SeqLM"

    @property
    def first_predicted(self) -> int:
        """Position of the first token that can have a loss: a causal language model does not predict token 0."""
        return 1 if self.head.auto_class == "AutoModelForCausalLM" else 0

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
            return mixture_task(self.kind, {name: part.for_architecture(architecture) for name, part in self.parts})
        head = self.kind.encoder_decoder_head
        if head is None or architecture != "encoder-decoder":
            return self
        return replace(self, head=head)


def mixture_task(kind: TaskKind, parts: Mapping[str, Task]) -> Task:
    """Return the task of one model on several data sets.

    The heads are concatenated in one layer with outputs `part/label`. Every output has its own weights, so this equals
    a head per part on a shared backbone. Layers of a model's head before that one, such as a pooler, are shared.

    Args:
        kind: the mixture's own kind.
        parts: name -> task.

    Raises:
        UserError: the parts need models with different kinds of heads.
    """
    first = next(iter(parts.values()))
    for name, part in parts.items():
        if part.head.auto_class != first.head.auto_class:
            raise UserError(
                f"the parts {next(iter(parts))} ({first.name}) and {name} ({part.name}) cannot share a model: one "
                f"needs {first.head.auto_class}, the other {part.head.auto_class}; train them separately."
            )
    part_columns = [_part_column(name, column) for name, part in parts.items() for column in part.columns]
    return Task.of(
        kind,
        head=replace(kind.head, auto_class=first.head.auto_class, peft_type=first.head.peft_type),
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
            f"method={method} works on one data set at a time, and dataset.task={task.name} has {len(task.parts)}: use "
            "method=lora, or run it on each part alone."
        )
