"""Builder of a data set: rows from a source, columns mapped to roles, splits, and the DataModule of the task kind."""

from ftlab.config.groups import BudgetConfig, DatasetConfig
from ftlab.config.kinds import all_kinds, load_class, names_of
from ftlab.config.task_kind import TaskKind
from ftlab.core.errors import ConfigError, DataError
from ftlab.data.base import DataModule
from ftlab.data.generative import GenerativeData
from ftlab.data.loading.batches import Loading
from ftlab.data.rows.row import SPLITS, Origin
from ftlab.data.rows.splits import carve_splits
from ftlab.data.sources.reading import read_rows

# Settings that do not decide how rows are encoded, so not in the cache key; the hash of the rows covers most of them.
_NOT_IN_CACHE_KEY = {
    *("name", "source", "columns", "shape", "on_bad_rows", "split_seed", "val_fraction", "test_fraction"),
    *("max_length", "generate"),
}


def build_dataset(config: DatasetConfig, *, budget: BudgetConfig, loading: Loading, max_length: int) -> DataModule:
    """Read, check and split the rows of a data set. It needs no tokenizer yet; call `tokenize` to get batches.

    Args:
        config: the data set.
        budget: limits of the number of rows of each split.
        loading: settings of the data loaders.
        max_length: maximum number of tokens per example, special tokens included.

    Raises:
        DataError: the data is unusable; names file and line where they are known.
    """
    data_class = data_class_of(config.kind)
    _require_fitting_settings(config)
    source = read_rows(config, data_class)
    splits = dict(source.splits)
    fractions = {"test": config.test_fraction, "val": config.val_fraction}
    held_out = {split: fraction for split, fraction in fractions.items() if split not in splits}
    notes = [*source.detected.notes(sum(map(len, splits.values()))), *source.notes]
    origin = Origin(source.detected.columns, source.dropped, notes, source.warnings, tuple(held_out), source.doubts)
    if held_out:
        splits |= carve_splits(splits["train"], data_class.split_keys(splits["train"]), held_out, config.split_seed)

    return data_class(
        {split: splits[split] for split in SPLITS},
        limits={"train": budget.train_rows, "val": budget.val_rows, "test": budget.test_rows},
        split_seed=config.split_seed,
        max_length=max_length,
        loading=loading,
        origin=origin,
        cache_key=config.model_dump(mode="json", exclude=_NOT_IN_CACHE_KEY),
        **data_class.init_args(config, source.detected.columns),
    )


def data_class_of(kind: TaskKind) -> type[DataModule]:
    """Return the DataModule of a task kind.

    Raises:
        ConfigError: it cannot be imported, is no whole DataModule, or belongs to another kind.
    """
    data_class: type[DataModule] = load_class(kind, kind.data, DataModule)
    owner = getattr(data_class, "kind", None)
    if owner is None or owner.name != kind.name:
        belongs = f"belongs to the task kind {owner.name}" if owner else "has no kind"
        raise ConfigError(f"{kind.data} {belongs}, and {kind.name} names it: subclass it, and set kind = KIND there.")
    if kind.generates and not issubclass(data_class, GenerativeData):
        raise ConfigError(
            f"{kind.data} is no GenerativeData, and {kind.name} has generation_columns: make it a subclass of "
            "ftlab.data.generative.GenerativeData, or remove the columns."
        )
    return data_class


def _require_fitting_settings(config: DatasetConfig) -> None:
    """Refuse settings, and values of them, that are for other kinds of data.

    Raises:
        DataError: one of them is set.
    """
    kinds = all_kinds()
    for setting in sorted({setting for kind in kinds for setting in kind.settings} - {*config.kind.settings}):
        if getattr(config, setting) not in (type(config).model_fields[setting].default, "", None):
            fitting = names_of(kind for kind in kinds if setting in kind.settings)
            raise DataError(f"dataset.{setting} is for dataset.task={fitting}, not for {config.task}: unset it.")
    if config.truncation == "middle" and config.kind.generates:
        raise DataError(
            f"dataset.truncation=middle keeps start and end of a text with a label, and {config.task} data are prompts "
            "with responses: set it to right or left."
        )
