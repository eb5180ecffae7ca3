"""What a task needs of the model, the tuning method and the comparison, as plain data (no torch)."""

from dataclasses import dataclass, replace
from typing import Literal

from ftlab.record import Column

Architecture = Literal["encoder", "decoder", "encoder-decoder"]


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
        name: `classification`, `instruction`, `text` or `masked_lm`.
        module: import path of the LightningModule that trains it.
        auto_class: the Transformers auto class that loads a model with the right head.
        peft_type: PEFT's task type.
        padding_side: side on which batches are padded for training.
        labels: class names in the order of their ids; empty where there are none.
        monitor: metric that early stopping and the choice of the best checkpoint watch.
        mode: whether a higher (`max`) or lower (`min`) monitor is better.
        columns: test metrics shown in the comparison table.
        cloze: how classification is put to a language model; None: a classification head answers.
        shots: solved training examples shown ahead of each question (Brown et al., 2020).
        shot_tokens: most tokens of each of them.
        label_shares: share of each label in the training rows, in the order of `labels`.
    """

    name: str
    module: str
    auto_class: str
    peft_type: str
    padding_side: Literal["left", "right"] = "right"
    labels: tuple[str, ...] = ()
    monitor: str = "val/loss"
    mode: Literal["min", "max"] = "min"
    columns: tuple[Column, ...] = ()
    cloze: Cloze | None = None
    shots: int = 0
    shot_tokens: int = 0
    label_shares: tuple[float, ...] = ()

    def with_labels(self, labels: tuple[str, ...]) -> "Task":
        """Return the same task for these class names."""
        return replace(self, labels=labels)

    def on(self, architecture: Architecture) -> "Task":
        """Return the task as models of this architecture do it: encoder-decoders read a prompt and write the rest."""
        if architecture == "encoder-decoder" and self.name == INSTRUCTION.name:
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
INSTRUCTION = replace(_LANGUAGE_MODEL, name="instruction")
MASKED_LM = replace(
    _LANGUAGE_MODEL,
    name="masked_lm",
    module="ftlab.tasks.language_model.MaskedLM",
    auto_class="AutoModelForMaskedLM",
    peft_type="FEATURE_EXTRACTION",  # PEFT knows no masked language models; this type passes through what goes in
)

TASKS = {task.name: task for task in (CLASSIFICATION, INSTRUCTION, TEXT, MASKED_LM)}
