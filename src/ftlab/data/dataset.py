"""Builder of a data set: rows from a source, columns mapped to roles, splits, and the DataModule of the task."""

from ftlab.config.groups import BudgetConfig, DatasetConfig
from ftlab.core.errors import DataError
from ftlab.data.base import DataModule
from ftlab.data.classification import ClassificationData
from ftlab.data.generative import GenerativeData
from ftlab.data.instruction import InstructionData
from ftlab.data.loading.batches import Loading
from ftlab.data.multilabel import MultilabelData
from ftlab.data.regression import RegressionData
from ftlab.data.rows.row import SPLITS, Origin
from ftlab.data.rows.splits import carve_splits
from ftlab.data.seq2seq import Seq2SeqData
from ftlab.data.sources.reading import read_rows
from ftlab.data.text import MaskedTextData, TextData
from ftlab.data.token_classification import TokenClassificationData

DATA_MODULES: dict[str, type[DataModule]] = {
    "classification": ClassificationData,
    "multilabel": MultilabelData,
    "regression": RegressionData,
    "instruction": InstructionData,
    "seq2seq": Seq2SeqData,
    "text": TextData,
    "token_classification": TokenClassificationData,
    "masked_lm": MaskedTextData,
}
# Settings that do not decide how rows are encoded, so not in the cache key; the hash of the rows covers most of them.
_NOT_IN_CACHE_KEY = {
    *("name", "source", "columns", "shape", "on_bad_rows", "split_seed", "val_fraction", "test_fraction"),
    *("max_length", "generate"),
}


def build_dataset(
    config: DatasetConfig,
    *,
    budget: BudgetConfig,
    max_length: int,
    seed: int,
    micro_batch_size: int,
    eval_batch_size: int,
    num_workers: int,
    rank: int = 0,
    world_size: int = 1,
    accumulate: int = 1,
    group_by_length: bool = False,
    packing: bool = False,
    micro_batch_tokens: int | None = None,
) -> DataModule:
    """Read, check and split the rows of a data set. It needs no tokenizer yet; call `tokenize` to get batches.

    Args:
        config: the data set.
        budget: limits of the number of rows of each split.
        max_length: maximum number of tokens per example, special tokens included.
        seed: seed of the run; decides the order of training rows, but not the splits.
        micro_batch_size: examples per forward pass and device in training.
        eval_batch_size: examples per forward pass in validation and test.
        num_workers: number of DataLoader workers.
        rank: index of this training process.
        world_size: number of training processes.
        accumulate: micro-batches per optimizer step and process.
        group_by_length: see `Loading`.
        packing: see `Loading`.
        micro_batch_tokens: see `Loading`.

    Raises:
        DataError: the data is unusable; names file and line where they are known.
    """
    kind = DATA_MODULES[config.task]
    is_generative = issubclass(kind, GenerativeData)
    is_default = config.loss_on == "response" and config.truncation == "right"
    if not is_generative and (config.template or config.system or config.prefix or not is_default):
        raise DataError(
            "dataset.template, system, prefix, loss_on and truncation are for data with responses, not for "
            f"{config.task}: unset them."
        )
    if config.task != "seq2seq" and config.prefix:
        raise DataError(f"dataset.prefix is for seq2seq data, not for {config.task}: use dataset.system.")
    if config.task != "multilabel" and config.label_separator is not None:
        raise DataError(f"dataset.label_separator is for multi-label data, not for {config.task}: unset it.")
    if config.task != "regression" and config.standardise is not None:
        raise DataError(f"dataset.standardise is for regression, not for {config.task}: unset it.")

    source = read_rows(config, kind)
    splits = dict(source.splits)
    fractions = {"test": config.test_fraction, "val": config.val_fraction}
    held_out = {split: fraction for split, fraction in fractions.items() if split not in splits}
    notes = [*source.detected.notes(sum(map(len, splits.values()))), *source.notes]
    origin = Origin(source.detected.columns, source.dropped, notes, source.warnings, tuple(held_out))
    if held_out:
        splits |= carve_splits(splits["train"], kind.split_keys(splits["train"]), held_out, config.split_seed)

    return kind(
        {split: splits[split] for split in SPLITS},
        limits={"train": budget.train_rows, "val": budget.val_rows, "test": budget.test_rows},
        split_seed=config.split_seed,
        max_length=max_length,
        loading=Loading(
            micro_batch_size=micro_batch_size,
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            seed=seed,
            rank=rank,
            world_size=world_size,
            accumulate=accumulate,
            group_by_length=group_by_length,
            packing=packing,
            micro_batch_tokens=micro_batch_tokens,
        ),
        origin=origin,
        cache_key=config.model_dump(mode="json", exclude=_NOT_IN_CACHE_KEY),
        **kind.init_args(config, source.detected.columns),
    )
