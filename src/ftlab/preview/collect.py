"""Facts about a data set before training, as plain values."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ftlab import methods, models
from ftlab.config.kinds import load_class
from ftlab.config.run_config import RunConfig
from ftlab.core.errors import ConfigError
from ftlab.data.base import DataModule
from ftlab.data.build import build_data
from ftlab.data.encoding.example import Counts
from ftlab.data.loading.sampler import BatchIndices, BatchSampler
from ftlab.data.rows.splits import count_duplicates
from ftlab.models.devices import Devices, requested_accelerator
from ftlab.preview.kind_preview import KindPreview, ShownExample, TargetStats


@dataclass(frozen=True)
class LengthStats:
    """Lengths of the training examples.

    Attributes:
        tokens: tokens of each example as the model sees it, (examples,).
        max_length: tokens to which examples are truncated.
        max_length_setting: name of the setting that limits them.
        truncated_share: fraction of the rows that are longer; None if not known.
        padding_share: fraction of padding in the batches of the first epoch.
        micro_batch_size: examples of such a batch.
        loss_token_share: fraction of the tokens that have a loss; None if no input token has one.
    """

    tokens: Counts
    max_length: int
    max_length_setting: str
    truncated_share: float | None
    padding_share: float
    micro_batch_size: int
    loss_token_share: float | None


@dataclass(frozen=True)
class DatasetPreview:
    """Facts about a data set, as the model and the method of a run see it.

    Attributes:
        dataset: name of the data set.
        preview: how the examples of the task kind are shown.
        model: name of the model.
        method: name of the method.
        notes: lines on how the rows were read.
        rows: split -> number of examples in use.
        split_from_train: splits that were made from the training rows.
        row_limits: split -> maximum number of rows by the budget.
        bad_rows: messages on rows that cannot be used, with the location of the first ones; empty if there are none.
        would_stop: whether training would stop at the first of them.
        dropped: reason -> number of rows left out.
        examples: some training rows as the model sees them.
        lengths: lengths of the training examples.
        labels: label -> split -> number of rows (for tagged words: of words) that have it; empty without labels.
        targets: statistics of the targets of a regression.
        duplicates: training rows with the text of an earlier row.
        unknown_token_share: fraction of the training tokens that the tokenizer does not know.
        warnings: warnings that the run's record would contain.
    """

    dataset: str
    preview: KindPreview
    model: str
    method: str
    notes: Sequence[str]
    rows: Mapping[str, int]
    split_from_train: Sequence[str]
    row_limits: Mapping[str, int]
    bad_rows: Sequence[str]
    would_stop: bool
    dropped: Mapping[str, int]
    examples: Sequence[ShownExample]
    lengths: LengthStats
    labels: Mapping[str, Mapping[str, int]]
    targets: Sequence[TargetStats]
    duplicates: int
    unknown_token_share: float
    warnings: Sequence[str]


def collect_preview(config: RunConfig, rows: int) -> DatasetPreview:
    """Read and tokenize the data as a run would do; of the model only the tokenizer is loaded.

    Bad rows are skipped, even with `dataset.on_bad_rows=error`.

    Args:
        config: configuration of the run.
        rows: number of training rows to show.

    Raises:
        UserError: the run could not start for a reason other than bad rows.
    """
    kind = config.dataset.kind
    if kind.preview is None:
        raise ConfigError(
            f"ftlab data cannot show dataset.task={kind.name}, whose KIND has no preview: of a mixture, name a part."
        )
    method = methods.build_method(config.method)
    skip_bad_rows = config.dataset.model_copy(update={"on_bad_rows": "skip"})
    hardware = config.hardware  # the run's; this machine need not have it
    devices = Devices(accelerator=requested_accelerator(hardware), per_node=hardware.devices, nodes=hardware.num_nodes)
    data = build_data(config.model_copy(update={"dataset": skip_bad_rows}), devices)
    assert isinstance(data, DataModule)

    preview: KindPreview = load_class(kind, kind.preview, KindPreview)()
    task, tokenizer = models.load_task_and_tokenizer(
        config.model, lambda architecture: method.pose_task(data.task, architecture, config.loss)
    )
    data.tokenize(tokenizer, model=config.model.name, task=task)
    train = data.splits["train"]
    limits = {split: getattr(config.budget, f"{split}_rows") for split in data.rows}
    return DatasetPreview(
        dataset=config.dataset.name,
        preview=preview,
        model=config.model.name,
        method=config.method.name,
        notes=data.origin.notes,
        rows=data.rows,
        split_from_train=data.origin.carved,
        row_limits={split: limit for split, limit in limits.items() if limit is not None},
        bad_rows=data.origin.warnings,
        would_stop=bool(data.origin.warnings) and config.dataset.on_bad_rows == "error",
        dropped=data.dropped,
        examples=preview.sample(data, tokenizer, rows),
        lengths=_lengths(data, config),
        labels=_labels(data, preview),
        targets=preview.target_stats(train, data.task),
        duplicates=count_duplicates(data.input_keys(train)),
        unknown_token_share=data.unknown_token_share or 0.0,
        warnings=[message for message in data.warnings if message not in data.origin.warnings],
    )


def _lengths(data: DataModule, config: RunConfig) -> LengthStats:
    tokens, num_loss_tokens = data.token_counts("train")
    task = data.task_for_model
    no_loss_on_inputs = task.labels or task.decoder_writes
    dataset_limits = data.max_length == config.dataset.max_length
    return LengthStats(
        tokens=tokens,
        max_length=data.max_length,
        max_length_setting="dataset.max_length" if dataset_limits else "budget.max_length",
        truncated_share=data.truncated_share,
        padding_share=_padding_share(data, tokens),
        micro_batch_size=data.loading.micro_batch_size,
        loss_token_share=None if no_loss_on_inputs else float(num_loss_tokens.sum() / tokens.sum()),
    )


def _padding_share(data: DataModule, tokens: Counts) -> float:
    """Return the fraction of padding in the batches of the first epoch, sampled as in training."""
    loading = data.loading
    size = loading.micro_batch_size * loading.world_size
    sampler = BatchSampler(
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
    splitter = data.micro_batch_splitter()
    num_tokens = num_positions = 0
    for batch in sampler:
        for start in range(0, size, loading.micro_batch_size):
            rank = slice(start, start + loading.micro_batch_size)  # the examples of one rank
            for micro_batch in splitter(BatchIndices(batch.rows[rank], batch.epochs[rank], 1.0)):
                num_tokens += splitter.num_tokens(micro_batch)
                num_positions += splitter.num_positions(micro_batch)
    return 1 - num_tokens / num_positions


def _labels(data: DataModule, preview: KindPreview) -> dict[str, dict[str, int]]:
    """Return label -> split -> number of rows or words that have it, in the order of the labels."""
    if preview.counted is None:
        return {}
    counts = {
        split: Counter(label for row in rows for label in preview.labels_of(row)) for split, rows in data.splits.items()
    }
    labels = dict.fromkeys([*data.task.labels, *(label for count in counts.values() for label in count)])
    return {label: {split: counts[split][label] for split in counts} for label in labels}
