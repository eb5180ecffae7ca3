"""Source: data sets of the Hugging Face hub."""

from collections.abc import Iterator
from typing import Any

from ftlab.core.errors import DataError, reason
from ftlab.data.rows.row import BadRow, Row
from ftlab.data.sources.formats.class_names import class_decoders, decoded_row

_TIMEOUT_S = 10  # of one request; the `datasets` library itself tries for half a minute


def load(
    id: str,
    name: str | None = None,
    revision: str | None = None,
    train: str = "train",
    val: str | None = None,
    test: str | None = None,
    streaming: bool = False,
    rows: int | None = None,
) -> dict[str, Iterator[Row | BadRow]]:
    """Load a data set, from the cache if the hub cannot be reached. Class ids become class names.

    A data set's own code is never run.

    Args:
        id: e.g. `stanfordnlp/imdb`.
        name: configuration, for data sets that have several.
        revision: commit, tag or branch; null: the newest.
        train: the hub's name of the split to train on; splits that are not set are carved from it.
        val: the hub's name of the split to validate on.
        test: the hub's name of the split to test on.
        streaming: fetch only the rows that are read, and store none beyond the run. The first rows of a data set that
            is sorted by label all have one label.
        rows: use only this many rows of each split, the first ones; null: all, which streaming does not allow.

    Raises:
        DataError: the data set cannot be loaded; names what works without the hub.
    """
    import datasets  # takes seconds to import

    if streaming and rows is None:
        raise DataError("dataset.source.streaming=true needs a limit: set dataset.source.rows.")
    if not _reachable():
        datasets.config.HF_HUB_OFFLINE = True
    # RuntimeError: the data set needs its own code, which is refused
    errors = (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError)
    splits = {}
    for split, hub_split in {"train": train, "val": val, "test": test}.items():
        if hub_split is not None:
            options = {"streaming": True} if streaming else {}
            try:
                table = datasets.load_dataset(id, name, split=hub_split, revision=revision, **options)
            except errors as error:
                raise DataError(_load_failure(id, error)) from None
            splits[split] = _rows(table, id, hub_split, rows, errors)
    return splits


def _rows(
    table: Any, id: str, split: str, limit: int | None, errors: tuple[type[Exception], ...]
) -> Iterator[Row | BadRow]:
    """Yield rows with class names for class ids, in lists too; -1, the hub's mark of no label, becomes None."""
    # a stream of JSON or csv has no features before its first row is read
    decoders = class_decoders(table.features.to_dict()) if table.features else {}
    items, number = iter(table), 0
    while limit is None or number < limit:
        number += 1
        try:
            item = next(items)
        except StopIteration:
            return
        except errors as error:  # a stream is fetched while it is read
            raise DataError(_load_failure(id, error)) from None
        yield decoded_row(item, f"{id}[{split}], row {number}", decoders)


def _reachable() -> bool:
    """Return whether the hub answers; ask it once, since `datasets` repeats every request five times."""
    from huggingface_hub import constants, get_session

    if constants.is_offline_mode():
        return False
    try:
        get_session().head(constants.ENDPOINT, timeout=_TIMEOUT_S)
    except Exception:  # the HTTP library, and so the errors, depend on the version
        return False
    return True


def _load_failure(id: str, error: Exception) -> str:
    return (
        f"{id} could not be loaded from the Hugging Face hub or its cache ({reason(error)}); "
        "without the hub, dataset=bbc_news, chatterbot, text_files, instruction_files and plain_text_files work."
    )
