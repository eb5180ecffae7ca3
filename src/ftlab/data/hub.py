"""A source: data sets of the Hugging Face hub."""

from collections.abc import Iterator
from typing import Any

from ftlab.data.rows import Row
from ftlab.errors import DataError

_PATIENCE_S = 10  # for one answer; the `datasets` library itself tries for half a minute


def load(
    id: str,
    name: str | None = None,
    revision: str | None = None,
    train: str = "train",
    val: str | None = None,
    test: str | None = None,
    streaming: bool = False,
    rows: int | None = None,
) -> dict[str, Iterator[Row]]:
    """Load a data set; from its cache where the hub is out of reach. Class ids become class names.

    Code that a data set brings along is never run.

    Args:
        id: e.g. `stanfordnlp/imdb`.
        name: configuration, for data sets that have several.
        revision: commit, tag or branch; null: the newest.
        train: the hub's name of the split to train on; what has no split of its own is carved from it.
        val: the hub's name of the split to validate on.
        test: the hub's name of the split to test on.
        streaming: fetch no more than the rows that are read, and store none but for the time of the run. The first rows
            of a data set that is sorted by label have one label.
        rows: most rows of each split, the first; null: all, which streaming does not do.

    Raises:
        DataError: the data set cannot be had; says what works without the hub.
    """
    import datasets  # takes seconds to import

    if streaming and rows is None:
        raise DataError("dataset.source.streaming=true has no end by itself: set dataset.source.rows.")
    if not _reachable():
        datasets.config.HF_HUB_OFFLINE = True
    # a RuntimeError: its rows are made by code of its own
    errors = (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError)
    splits = {}
    for split, theirs in {"train": train, "val": val, "test": test}.items():
        if theirs is not None:
            told = {"streaming": True} if streaming else {}
            try:
                table = datasets.load_dataset(id, name, split=theirs, revision=revision, **told)
            except errors as error:
                raise DataError(_why(id, error)) from None
            splits[split] = _rows(table, id, theirs, rows, errors)
    return splits


def _rows(table: Any, id: str, split: str, most: int | None, errors: tuple[type[Exception], ...]) -> Iterator[Row]:
    """Rows with class names for class ids, in lists too; -1, by which the hub marks no class, becomes nothing."""
    # a stream of JSON or csv has no features before its first row is there
    features = table.features or {}
    names = {column: kind.names for column, kind in features.items() if hasattr(kind, "names")}
    lists = {
        column: kind.feature.names
        for column, kind in features.items()
        if hasattr(getattr(kind, "feature", None), "names")
    }

    def value(column: str, found: Any) -> Any:
        if found is None:
            return None
        if column in lists:
            return [lists[column][one] if one >= 0 else None for one in found]
        if column not in names:
            return found
        return names[column][found] if found >= 0 else None

    items, number = iter(table), 0
    while most is None or number < most:
        number += 1
        try:
            item = next(items)
        except StopIteration:
            return
        except errors as error:  # a stream is fetched as it is read
            raise DataError(_why(id, error)) from None
        yield Row({column: value(column, found) for column, found in item.items()}, f"{id}[{split}], row {number}")


def _reachable() -> bool:
    """Ask once: the `datasets` library repeats every question five times before it gives up."""
    from huggingface_hub import constants, get_session

    if constants.is_offline_mode():
        return False
    try:
        get_session().head(constants.ENDPOINT, timeout=_PATIENCE_S)
    except Exception:  # which HTTP library, and so which errors, depends on the version
        return False
    return True


def _why(id: str, error: Exception) -> str:
    reason = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
    return (
        f"{id} could not be had from the Hugging Face hub or its cache ({reason}); "
        "without the hub, dataset=bbc_news, chatterbot, text_files, instruction_files and plain_text_files work."
    )
