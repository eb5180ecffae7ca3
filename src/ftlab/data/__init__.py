"""Data: a source gives rows, columns become roles, rows are split, and a DataModule makes batches of them."""

from ftlab.data.base import DataModule
from ftlab.data.batches import Loading
from ftlab.data.classification import ClassificationData
from ftlab.data.instruction import InstructionData
from ftlab.data.rows import SPLITS, map_rows
from ftlab.data.source import read_source
from ftlab.data.splits import carve
from ftlab.data.text import MaskedTextData, TextData
from ftlab.errors import DataError
from ftlab.schema import BudgetConfig, DatasetConfig

KINDS: dict[str, type[DataModule]] = {
    "classification": ClassificationData,
    "instruction": InstructionData,
    "text": TextData,
    "masked_lm": MaskedTextData,
}
# Of a data set's settings, those that say which rows there are: the hash of the rows stands for them in the cache.
_WHICH_ROWS = {"name", "source", "columns", "incomplete", "split_seed", "val_fraction", "test_fraction", "max_length"}


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

    Raises:
        DataError: the data cannot be used; names file and line where they are known.
    """
    kind = KINDS[config.task]
    if config.task != "instruction" and (config.template or config.system):
        raise DataError(
            f"dataset.template and dataset.system are for instruction data, not for {config.task}: unset them."
        )

    splits, dropped = {}, 0
    for split, rows in read_source(config.source).items():
        splits[split], missing = map_rows(rows, config.columns, kind.roles, incomplete=config.incomplete)
        dropped += missing
        if not splits[split]:
            raise DataError(f"{rows[0].where} and the {split} rows after it are all incomplete: check dataset.columns.")

    fractions = {"test": config.test_fraction, "val": config.val_fraction}
    carved = {split: fraction for split, fraction in fractions.items() if split not in splits}
    if carved:
        splits |= carve(splits["train"], kind.units(splits["train"]), carved, config.split_seed)

    texts = {"template": config.template, "system": config.system} if config.task == "instruction" else {}
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
        ),
        dropped=dropped,
        known_by=config.model_dump(mode="json", exclude=_WHICH_ROWS),
        **texts,
    )
