"""What a task needs of the model, the tuning method and the comparison, as plain data (no torch)."""

from dataclasses import dataclass, replace
from typing import Literal

from ftlab.record import Column


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task as methods and models see it.

    Attributes:
        name: `classification`, `instruction` or `text`.
        module: import path of the LightningModule that trains it.
        auto_class: the Transformers auto class that loads a model with the right head.
        peft_type: PEFT's task type.
        padding_side: side on which batches are padded for training.
        labels: class names in the order of their ids; empty where there are none.
        monitor: metric that early stopping and the choice of the best checkpoint watch.
        mode: whether a higher (`max`) or lower (`min`) monitor is better.
        columns: test metrics shown in the comparison table.
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

    def with_labels(self, labels: tuple[str, ...]) -> "Task":
        """Return the same task for these class names."""
        return replace(self, labels=labels)


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
    module="ftlab.tasks.causal_lm.CausalLM",
    auto_class="AutoModelForCausalLM",
    peft_type="CAUSAL_LM",
    columns=(
        Column(metric="loss", label="loss", higher_is_better=False),
        Column(metric="perplexity", label="perplexity", higher_is_better=False),
    ),
)

TEXT = _LANGUAGE_MODEL
INSTRUCTION = replace(_LANGUAGE_MODEL, name="instruction")
