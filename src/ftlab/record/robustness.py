"""Robustness section of a run record: perturbations, slices, calibration, forgetting, overfitting."""

from typing import Literal, get_args

from pydantic import Field

from ftlab.record.parts import Frozen, Metric

# Changes of a text that keep its meaning; implemented in ftlab.evaluation.perturbations.
Perturbation = Literal["typos", "upper", "lower", "no_punctuation", "whitespace", "width"]
PERTURBATIONS: tuple[str, ...] = get_args(Perturbation)

FitVerdict = Literal["fits", "overfitting", "underfitting", "unknown"]


class Perturbed(Frozen):
    """Result on the sample of test rows with one perturbation of every text; labels stay."""

    changed: float  # fraction of the rows whose text changed
    seen: float  # fraction of the rows whose tokens changed; less if the tokenizer ignores case, or truncates before
    metrics: dict[str, Metric]  # loss, calibration error and the task's headline metrics
    drop: dict[str, float]  # headline metric -> how much worse than on the unchanged sample; below 0: better


class ClassScores(Frozen):
    """Scores of one class on the whole test split: an entity type, or one label of multi-label data."""

    label: str
    support: int  # test rows (words, entities) that have it
    precision: float | None  # null: never predicted
    recall: float | None  # null: in no test row
    f1: float | None


class Slice(Frozen):
    """Metrics on a part of the test split."""

    by: str  # length, or a column of the data
    value: str  # which part, e.g. `short, up to 812 characters`
    n: int  # test rows in it
    metrics: dict[str, Metric]  # loss, and metrics that are means over rows: accuracy, mae …


class ReliabilityBin(Frozen):
    """Bin of a reliability diagram: test rows whose predicted class has a probability between two bounds."""

    lower: float
    upper: float
    n: int
    confidence: float  # mean probability of the predicted class
    accuracy: float  # fraction of them that are correct


class Forgetting(Frozen):
    """Loss of a language model on general text that it was not trained on, before and after training."""

    source: str  # function that reads the text
    rows: int  # examples, of at most max_length tokens each
    before: dict[str, Metric]  # of the base without the method; loss in nats per token
    after: dict[str, Metric]


class Fit(Frozen):
    """Overfitting check: loss on training and on validation rows, both without dropout and with the tested weights."""

    train: float | None
    val: float | None
    gap: float | None  # val - train
    reference: float | None  # loss of predicting the label frequencies of training; null: the task has none
    train_rows: int  # evenly spaced sample
    verdict: FitVerdict  # its thresholds: ftlab.evaluation.overfitting


class Robustness(Frozen):
    """Result of the evaluations that `robustness` in the configuration selects; see docs/robustness.md."""

    seconds: float  # total time, which no other cost includes
    rows: int = 0  # test rows that were perturbed, the same for every method and seed
    untouched: dict[str, Metric] = Field(default_factory=dict)  # on these rows without a perturbation
    perturbations: dict[str, Perturbed] = Field(default_factory=dict)  # name -> result, of those that change any text
    classes: list[ClassScores] = Field(default_factory=list)  # the most frequent ones, in the order of the labels
    classes_left_out: int = 0
    slices: list[Slice] = Field(default_factory=list)
    slices_left_out: int = 0  # values of the column that were too rare
    # classification only; bins without rows are left out
    reliability: list[ReliabilityBin] = Field(default_factory=list)
    forgetting: Forgetting | None = None
    fit: Fit | None = None
