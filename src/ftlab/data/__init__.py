"""Data: a source gives rows, columns become roles, rows are split, and a DataModule makes batches of them."""

from ftlab.data.answered import AnsweredData
from ftlab.data.base import DataModule
from ftlab.data.batches import Loading
from ftlab.data.classification import ClassificationData
from ftlab.data.instruction import InstructionData
from ftlab.data.multilabel import MultilabelData
from ftlab.data.reading import read
from ftlab.data.regression import RegressionData
from ftlab.data.rows import SPLITS, Origin
from ftlab.data.seq2seq import Seq2SeqData
from ftlab.data.splits import carve
from ftlab.data.text import MaskedTextData, TextData
from ftlab.data.token_classification import TokenClassificationData
from ftlab.errors import DataError
from ftlab.groups import BudgetConfig, DatasetConfig

KINDS: dict[str, type[DataModule]] = {
    "classification": ClassificationData,
    "multilabel": MultilabelData,
    "regression": RegressionData,
    "instruction": InstructionData,
    "seq2seq": Seq2SeqData,
    "text": TextData,
    "token_classification": TokenClassificationData,
    "masked_lm": MaskedTextData,
}
# Settings of a data set that do not say what becomes of its rows: the hash of the rows stands for most in the cache.
_WHICH_ROWS = {
    *("name", "source", "columns", "shape", "on_bad_rows", "split_seed", "val_fraction", "test_fraction"),
    *("max_length", "generate"),
}


def build(
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
    """Read, check and split the rows of a data set. No tokenizer is needed yet: call `tokenize` for batches.

    Args:
        config: the data set.
        budget: limits the rows of each split.
        max_length: tokens per example, special tokens included.
        seed: the run's seed; decides the order of training rows, never which rows are in which split.
        micro_batch_size: examples per forward pass and device in training.
        eval_batch_size: examples per forward pass in validation and test.
        num_workers: processes that load batches.
        rank: which of the training processes this is.
        world_size: how many there are.
        accumulate: micro-batches per optimizer step and process.
        group_by_length: see `Loading`.
        packing: see `Loading`.
        micro_batch_tokens: see `Loading`.

    Raises:
        DataError: the data cannot be used; names file and line where they are known.
    """
    kind = KINDS[config.task]
    answered = issubclass(kind, AnsweredData)
    usual = config.loss_on == "response" and config.truncation == "right"
    if not answered and (config.template or config.system or config.prefix or not usual):
        raise DataError(
            "dataset.template, system, prefix, loss_on and truncation are for data with answers, not for "
            f"{config.task}: unset them."
        )
    if config.task != "seq2seq" and config.prefix:
        raise DataError(f"dataset.prefix is for seq2seq data, not for {config.task}: use dataset.system.")
    if config.task != "multilabel" and config.label_separator is not None:
        raise DataError(f"dataset.label_separator is for multi-label data, not for {config.task}: unset it.")
    if config.task != "regression" and config.standardise is not None:
        raise DataError(f"dataset.standardise is for regression, not for {config.task}: unset it.")

    found = read(config, kind)
    splits = dict(found.splits)
    fractions = {"test": config.test_fraction, "val": config.val_fraction}
    carved = {split: fraction for split, fraction in fractions.items() if split not in splits}
    notes = [*found.found.told(sum(map(len, splits.values()))), *found.notes]
    origin = Origin(found.found.columns, found.dropped, notes, found.warnings, tuple(carved))
    if carved:
        splits |= carve(splits["train"], kind.units(splits["train"]), carved, config.split_seed)

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
        known_by=config.model_dump(mode="json", exclude=_WHICH_ROWS),
        **kind.arguments(config, found.found.columns),
    )
