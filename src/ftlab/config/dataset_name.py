"""Default name of a data set from the user's own files."""

from pathlib import PurePath
from typing import Any

from ftlab.core import globs

_SPLIT_NAMES = ("train", "training", "data", "dataset", "input")  # of files that say nothing of what is in them


def name_of_files(train: Any) -> str | None:
    """Return a name for a data set: the stem of its training file; None if the source has no such setting.

    Args:
        train: `dataset.source.train`: a file, folder or pattern; several of them; or column -> file. Several files, a
            pattern, and a file that is called `train` or the like have the name of their folder, if there is one.
    """
    if train is None:
        return None
    values = train.values() if isinstance(train, dict) else train if isinstance(train, list) else [train]
    paths = [str(path) for path in values if path]
    if not paths:  # an error, when they are read
        return "files"
    first = PurePath(paths[0])
    folders = {_folder_of(path) for path in paths}
    stem = first.name.split(".")[0] or first.name
    several = len(paths) > 1 or globs.is_pattern(paths[0])
    if (several or stem.lower() in _SPLIT_NAMES) and len(folders) == 1 and (folder := folders.pop()):
        return folder
    return stem.rstrip("*?[]-_ ") or "files"


def _folder_of(path: str) -> str:
    """Return the name of the nearest folder above a path that is no pattern; empty if it is not known."""
    names = (folder.name for folder in PurePath(path).parents)
    name = next((name for name in names if not globs.is_pattern(name)), "")
    return "" if name == ".." else name
