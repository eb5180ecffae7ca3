"""What there is to say of a data set before any training, as plain values."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ftlab import methods, models
from ftlab.data.base import DataModule
from ftlab.data.dealing import Counts, Dealer, Dealt
from ftlab.data.labelled import parsed
from ftlab.data.rows import Row
from ftlab.data.run_data import of_run
from ftlab.data.splits import repeated
from ftlab.errors import ConfigError
from ftlab.preview.rows import Shown, shown
from ftlab.schema import RunConfig
from ftlab.tasks.spec import Task


@dataclass(frozen=True)
class Lengths:
    """Of the training examples.

    Attributes:
        tokens: of each, as the model sees them, (examples,).
        most: tokens to which they are cut.
        bound: the setting that says so.
        truncated: share of the rows that are longer; None: not known.
        padding: share of padding in the batches of the first epoch.
        micro_batch_size: examples of such a batch.
        learned: share of the tokens that have a loss; None: what is learned is none of these tokens.
    """

    tokens: Counts
    most: int
    bound: str
    truncated: float | None
    padding: float
    micro_batch_size: int
    learned: float | None


@dataclass(frozen=True)
class Target:
    """One target of a regression, over the training rows."""

    name: str
    mean: float
    deviation: float
    least: float
    greatest: float


@dataclass(frozen=True)
class Facts:
    """What `collect` found.

    Attributes:
        dataset: its name.
        task: as the method poses it to the model.
        model: its name.
        method: its name.
        notes: lines on how rows were read.
        rows: split -> examples in use.
        carved: splits that were dealt out from the training rows.
        limits: split -> most rows that the budget has.
        bad: a sentence on rows that cannot be used, the first with their places; none: there are none.
        stops: whether training would stop at the first of them.
        dropped: reason -> rows left out.
        shown: some training rows as the model sees them.
        lengths: of the training examples.
        labels: label -> split -> rows (of words: words) that have it; empty where there are none.
        targets: of a regression.
        repeated: training rows whose text an earlier one has.
        unknown: share of the training tokens that the tokenizer does not know.
        warnings: what a reader of the results would be told.
    """

    dataset: str
    task: Task
    model: str
    method: str
    notes: Sequence[str]
    rows: Mapping[str, int]
    carved: Sequence[str]
    limits: Mapping[str, int]
    bad: Sequence[str]
    stops: bool
    dropped: Mapping[str, int]
    shown: Sequence[Shown]
    lengths: Lengths
    labels: Mapping[str, Mapping[str, int]]
    targets: Sequence[Target]
    repeated: int
    unknown: float
    warnings: Sequence[str]


def collect(config: RunConfig, rows: int) -> Facts:
    """Read and tokenize the data of a run as the run would; of the model only the tokenizer is loaded.

    Bad rows do not stop it, whatever `dataset.on_bad_rows` says.

    Args:
        config: of the run.
        rows: how many training rows are shown.

    Raises:
        UserError: the run could not begin for a reason other than bad rows.
    """
    if config.dataset.parts:
        raise ConfigError("ftlab data shows one data set at a time, and this is a mixture: name one of its parts.")
    method = methods.build(config.method)
    without_bad = config.dataset.model_copy(update={"on_bad_rows": "skip"})
    read = of_run(config.model_copy(update={"dataset": without_bad}))
    assert isinstance(read, DataModule)
    task, tokenizer = models.outline(
        config.model,
        lambda architecture: method.adapt_task(read.task.on(architecture), architecture).with_loss(config.loss),
    )
    read.tokenize(tokenizer, model=config.model.name, task=task)
    train = read.splits["train"]
    limits = {split: getattr(config.budget, f"{split}_rows") for split in read.rows}
    return Facts(
        dataset=config.dataset.name,
        task=task,
        model=config.model.name,
        method=config.method.name,
        notes=read.origin.notes,
        rows=read.rows,
        carved=read.origin.carved,
        limits={split: most for split, most in limits.items() if most is not None},
        bad=read.origin.warnings,
        stops=bool(read.origin.warnings) and config.dataset.on_bad_rows == "error",
        dropped=read.dropped,
        shown=shown(read, tokenizer, rows),
        lengths=_lengths(read, config),
        labels=_labels(read),
        targets=_targets(train, read.task),
        repeated=repeated(read.by_text(train)),
        unknown=read.unknown_token_share or 0.0,
        warnings=[sentence for sentence in read.warnings if sentence not in read.origin.warnings],
    )


def _lengths(read: DataModule, config: RunConfig) -> Lengths:
    tokens, learned = read.counts("train")
    apart = read.posed.labels or read.posed.auto_class == "AutoModelForSeq2SeqLM"
    whole = None if apart else float(learned.sum() / tokens.sum())
    size = read.loading.micro_batch_size
    bound = "dataset.max_length" if read.max_length == config.dataset.max_length else "budget.max_length"
    return Lengths(tokens, read.max_length, bound, read.truncated_share, _padding(read, tokens), size, whole)


def _padding(read: DataModule, tokens: Counts) -> float:
    """Return the share of padding in the batches of the first epoch, as they are dealt out."""
    loading = read.loading
    size = loading.micro_batch_size * loading.world_size
    dealer = Dealer(
        len(tokens),
        micro_batch_size=size,
        batches=-(-len(tokens) // size),
        start=0,
        seed=loading.seed,
        rank=0,
        world_size=1,
        accumulate=loading.accumulate,
        lengths=tokens if loading.group_by_length else None,
    )
    cut, real, cells = read.pieces(), 0, 0
    for dealt in dealer:
        for start in range(0, size, loading.micro_batch_size):
            part = slice(start, start + loading.micro_batch_size)
            for piece in cut(Dealt(dealt.rows[part], dealt.epochs[part], 1.0)):
                real += cut.tokens(piece)
                cells += cut.positions(piece)
    return 1 - real / cells


def _labels(read: DataModule) -> dict[str, dict[str, int]]:
    """Return label -> split -> rows or words that have it, in the order of the labels."""
    if not read.task.labels or read.task.problem == "regression":
        return {}
    counts = {split: Counter(label for row in rows for label in _labels_of(row)) for split, rows in read.splits.items()}
    return {label: {split: counts[split][label] for split in counts} for label in read.task.labels}


def _labels_of(row: Row) -> list[str]:
    if "tags" in row.values:
        return list(row.values["tags"])
    return parsed(row.values["labels"]) if "labels" in row.values else [row.values["label"].strip()]


def _targets(train: Sequence[Row], task: Task) -> list[Target]:
    if task.problem != "regression":
        return []
    columns = np.array([parsed(row.values["target"]) for row in train], np.float64).T
    return [
        Target(name, *map(float, (column.mean(), column.std(), column.min(), column.max())))
        for name, column in zip(task.labels, columns, strict=True)
    ]
