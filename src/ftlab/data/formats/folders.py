"""Folders: one sub-folder per class with a text a file, or one file per class with a text a line."""

from collections.abc import Iterator
from pathlib import Path

from ftlab.data.formats.opening import lines, whole
from ftlab.data.rows import Row
from ftlab.errors import DataError


def read_folder(path: Path, *, encoding: str | None, records: frozenset[str]) -> Iterator[Row]:
    """Yield the texts of a folder; columns text and label, the name of the sub-folder, or of the file.

    Args:
        path: the folder.
        encoding: see `opening.opened_text`.
        records: extensions of files that hold rows with columns, which are no classes.

    Raises:
        DataError: the folder is neither of the two, or empty.
    """
    inside = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    folders = [entry for entry in inside if entry.is_dir()]
    files = [entry for entry in inside if entry.is_file()]
    if folders and files:
        raise DataError(
            f"{path} holds both folders ({folders[0].name}, …) and files ({files[0].name}, …): needed is a sub-folder "
            "per class, or a file per class."
        )
    if not inside:
        raise DataError(f"{path} is an empty folder: needed is a sub-folder per class, or a file per class.")
    for file in files:
        if _ending(file) in records:
            raise DataError(f"{path} is a folder that holds {file.name}: name the file, or a list of such files.")
    for folder in folders:
        yield from _texts(folder, encoding)
    for file in files:
        label = file.name.removesuffix(".gz")
        label = Path(label).stem if _ending(file) == ".txt" else label
        for number, line in lines(file, encoding):
            if line.strip():
                yield Row({"text": line, "label": label}, f"{path.name}/{file.name}:{number}")


def _texts(folder: Path, encoding: str | None) -> Iterator[Row]:
    found = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    if not found:
        raise DataError(f"{folder} is an empty folder: needed are the texts of this class, a file each.")
    for file in found:
        # the texts keep their inner line breaks, whatever system wrote them
        text = whole(file, encoding).replace("\r\n", "\n").strip()
        yield Row({"text": text, "label": folder.name}, f"{folder.parent.name}/{folder.name}/{file.name}")


def _ending(path: Path) -> str:
    return Path(path.name.lower().removesuffix(".gz")).suffix
