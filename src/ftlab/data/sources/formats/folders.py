"""Folder readers: one sub-folder per class with a text per file, or one file per class with a text per line."""

from collections.abc import Iterator
from pathlib import Path

from ftlab.core.errors import DataError
from ftlab.data.rows.row import Row
from ftlab.data.sources.formats.text_io import numbered_lines, read_text


def read_folder(path: Path, *, encoding: str | None, refused_extensions: frozenset[str]) -> Iterator[Row]:
    """Yield the texts of a folder; columns text and label, which is the name of the sub-folder or file.

    Args:
        path: the folder.
        encoding: see `text_io.open_text`.
        refused_extensions: of files that hold rows with columns, and so are not a class each.

    Raises:
        DataError: the folder has neither of the two layouts, or is empty.
    """
    entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    folders = [entry for entry in entries if entry.is_dir()]
    files = [entry for entry in entries if entry.is_file()]
    if folders and files:
        raise DataError(
            f"{path} holds both folders ({folders[0].name}, …) and files ({files[0].name}, …): use a sub-folder "
            "per class, or a file per class."
        )
    if not entries:
        raise DataError(f"{path} is an empty folder: put a sub-folder per class in it, or a file per class.")
    for file in files:
        if _extension(file) in refused_extensions:
            raise DataError(f"{path} is a folder that holds {file.name}: name the file, or a list of such files.")
    for folder in folders:
        yield from _texts(folder, encoding)
    for file in files:
        label = file.name.removesuffix(".gz")
        label = Path(label).stem if _extension(file) == ".txt" else label
        for number, line in numbered_lines(file, encoding):
            if line.strip():
                yield Row({"text": line, "label": label}, f"{path.name}/{file.name}:{number}")


def _texts(folder: Path, encoding: str | None) -> Iterator[Row]:
    files = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    if not files:
        raise DataError(f"{folder} is an empty folder: put the texts of this class in it, a file each.")
    for file in files:
        # inner line breaks are kept, as \n on every system
        text = read_text(file, encoding).replace("\r\n", "\n").strip()
        yield Row({"text": text, "label": folder.name}, f"{folder.parent.name}/{folder.name}/{file.name}")


def _extension(path: Path) -> str:
    return Path(path.name.lower().removesuffix(".gz")).suffix
