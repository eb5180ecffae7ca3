"""A source: data sets of the Hugging Face hub."""

from typing import Any

from ftlab.data.rows import Row, Splits
from ftlab.errors import DataError

_PATIENCE_S = 10  # for one answer; the `datasets` library itself tries for half a minute


def load(
    id: str,
    name: str | None = None,
    revision: str | None = None,
    train: str = "train",
    val: str | None = None,
    test: str | None = None,
) -> Splits:
    """Load a data set; from its cache where the hub is out of reach.

    Class ids become class names; what is within a column becomes a column of its own, such as `translation.de`.

    Args:
        id: e.g. `stanfordnlp/imdb`.
        name: configuration, for data sets that have several.
        revision: commit, tag or branch; null: the newest.
        train: the hub's name of the split to train on; what has no split of its own is carved from it.
        val: the hub's name of the split to validate on.
        test: the hub's name of the split to test on.

    Raises:
        DataError: the data set cannot be had; says what works without the hub.
    """
    import datasets  # takes seconds to import

    if not _reachable():
        datasets.config.HF_HUB_OFFLINE = True
    splits: Splits = {}
    for split, theirs in {"train": train, "val": val, "test": test}.items():
        if theirs is not None:
            try:
                table = datasets.load_dataset(id, name, split=theirs, revision=revision)
            except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
                raise DataError(_why(id, error)) from None
            splits[split] = _rows(table.flatten(), f"{id}[{theirs}]")
    return splits


def _rows(table: Any, place: str) -> list[Row]:
    """Rows with class names for class ids; -1, by which the hub marks an unlabelled row, becomes nothing."""
    names = {column: kind.names for column, kind in table.features.items() if hasattr(kind, "names")}

    def value(column: str, found: Any) -> Any:
        if column not in names or found is None:
            return found
        return names[column][found] if found >= 0 else None

    return [
        Row({column: value(column, found) for column, found in item.items()}, f"{place}, row {number}")
        for number, item in enumerate(table, 1)
    ]


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
        "without the hub, dataset=bbc_news, chatterbot, text_files, instruction_files, seq2seq_files and "
        "plain_text_files work."
    )
