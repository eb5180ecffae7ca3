"""What was examined of a trained model beside its test: the part of a record that tells how far the result carries."""

from typing import Literal, get_args

from pydantic import Field

from ftlab.record.parts import Frozen, Metric

# Changes of a text that leave its meaning alone; what each does: ftlab.robustness.perturbations.
Perturbation = Literal["typos", "upper", "lower", "no_punctuation", "whitespace", "width"]
PERTURBATIONS: tuple[str, ...] = get_args(Perturbation)

Verdict = Literal["fits", "overfitting", "underfitting", "unknown"]


class Perturbed(Frozen):
    """The sample of test rows, with every text changed in one way; labels stay."""

    changed: float  # share of the rows whose text is another one then
    seen: float  # share of which the model reads other tokens: none where its tokenizer ignores case, or cuts before
    metrics: dict[str, Metric]  # loss, calibration error and the task's headline metrics
    drop: dict[str, float]  # headline metric -> how much worse than on the untouched sample; below 0: better


class ClassScores(Frozen):
    """One class on the whole test split: of tagged entities one type, of several labels one of them."""

    label: str
    support: int  # test rows (words, entities) that have it
    precision: float | None  # null: never predicted
    recall: float | None  # null: in no test row
    f1: float | None


class Slice(Frozen):
    """A part of the test split."""

    by: str  # length, or a column of the data
    value: str  # which part, e.g. `short, up to 812 characters`
    n: int  # test rows in it
    metrics: dict[str, Metric]  # loss, and what the task says of single rows: accuracy, mae …


class Bin(Frozen):
    """Test rows whose predicted class has a probability between two bounds; a row of a reliability diagram."""

    lower: float
    upper: float
    n: int
    confidence: float  # mean probability of the predicted class
    accuracy: float  # share of them that are right


class Forgetting(Frozen):
    """How a language model predicts general text that it was not trained on, before and after training."""

    source: str  # function that reads the text
    rows: int  # examples, of at most max_length tokens each
    before: dict[str, Metric]  # of the base, untouched by the method; loss in nats per token
    after: dict[str, Metric]


class Fit(Frozen):
    """The loss on training rows against that on validation rows, both without dropout and with the tested weights."""

    train: float | None
    val: float | None
    gap: float | None  # val - train
    reference: float | None  # loss of guessing by what is frequent in training; null: the task has none
    train_rows: int  # evenly spaced sample
    verdict: Verdict  # its thresholds: ftlab.robustness.fit


class Robustness(Frozen):
    """Everything that `robustness` in the configuration asks for; see docs/robustness.md."""

    seconds: float  # all that this took, which is in no other cost
    rows: int = 0  # test rows that were perturbed, the same for every method and seed
    untouched: dict[str, Metric] = Field(default_factory=dict)  # of these rows as they are
    perturbations: dict[str, Perturbed] = Field(default_factory=dict)  # name -> result; those that change any text
    classes: list[ClassScores] = Field(default_factory=list)  # the most frequent ones, in the order of the labels
    classes_left_out: int = 0
    slices: list[Slice] = Field(default_factory=list)
    slices_left_out: int = 0  # values of the column that are too rare to be among them
    reliability: list[Bin] = Field(default_factory=list)  # classification alone; bins without rows are left out
    forgetting: Forgetting | None = None
    fit: Fit | None = None
