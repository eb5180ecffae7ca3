"""Folders that `save_to_disk` of `datasets` wrote: one data set, or one for each split.

They are read without the library: it takes seconds to import, and ignores the order of rows that its older versions
keep in a file of its own.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ftlab.core.errors import DataError, reason
from ftlab.data.rows.row import BadRow, Row
from ftlab.data.sources.formats.arrow import STATE_FILE, read_arrow

_SPLITS_FILE = "dataset_dict.json"


def is_saved_dataset(folder: Path) -> bool:
    """Return whether a folder holds one saved data set."""
    return (folder / STATE_FILE).is_file()


def saved_splits(folder: Path) -> dict[str, Path]:
    """Return the name of each split of a saved `DatasetDict` -> its folder; nothing if the folder is none.

    Raises:
        DataError: the folder is incomplete.
    """
    if not (folder / _SPLITS_FILE).is_file():
        return {}
    names = _content(folder / _SPLITS_FILE, "splits")
    for name in names:
        if not is_saved_dataset(folder / str(name)):
            raise DataError(f"{folder / str(name)} holds no {STATE_FILE}, as a saved split does: save {folder} again.")
    return {str(name): folder / str(name) for name in names}


def read_saved_dataset(folder: Path) -> Iterator[Row | BadRow]:
    """Yield the rows of a saved data set, whose files are in the order of its `state.json`.

    Raises:
        DataError: the folder or one of its files is incomplete, or the rows' order is in a file of its own.
    """
    state = folder / STATE_FILE
    if _content(state, "_indices_data_files", "_indices_files"):
        raise DataError(
            f"{folder} was saved by an old version of `datasets` that keeps the order of the rows apart: load it with "
            "that version, call flatten_indices(), and save it again."
        )
    for file in _content(state, "_data_files"):
        name = file.get("filename") if isinstance(file, dict) else None
        if not isinstance(name, str) or not (folder / name).is_file():
            raise DataError(f"{folder} has no file {name}, which its {STATE_FILE} names: copy or save it again.")
        yield from read_arrow(folder / name)


def _content(path: Path, *keys: str) -> list[Any]:
    """Return the list under the first of these keys that a JSON file has."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return list(next((content[key] for key in keys if content.get(key)), []))
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise DataError(f"{path} is damaged ({reason(error, named=path)}): save {path.parent} again.") from None
