"""Default name of a data set from the user's own files."""

from pathlib import PurePath
from typing import Any

from ftlab.core import globs

_SPLIT_NAMES = ("train", "training", "data", "dataset", "input")  # that say nothing of what is in a file or folder


def name_of_files(train: Any) -> str | None:
    """Return a name for a data set: the stem of its training file; None if the source has no such setting.

    Args:
        train: `dataset.source.train`: a file, folder or pattern; several of them; or column -> file. Several files, a
            pattern, and a file that is called `train` or the like have the name of their folder, if there is one; of
            the one above it, if the folder is called `data` or the like.
    """
    if train is None:
        return None
    values = train.values() if isinstance(train, dict) else train if isinstance(train, list) else [train]
    paths = [str(path) for path in values if path]
    if not paths:  # an error, when they are read
        return "files"
    first = PurePath(paths[0])
    folders = {_name_of_folder(path) for path in paths}
    stem = first.name.split(".")[0] or first.name
    several = len(paths) > 1 or globs.is_pattern(paths[0])
    if (several or stem.lower() in _SPLIT_NAMES) and len(folders) == 1 and (folder := folders.pop()):
        return folder
    return stem.rstrip("*?[]-_ ") or "files"


def _name_of_folder(path: str) -> str:
    """Return the name of the nearest folder above a path that says something; empty if none is known."""
    folders = [folder.name for folder in PurePath(path).parents]
    names = [name for name in folders if name not in ("", "..", "~") and not globs.is_pattern(name)]
    telling = [name for name in names if name.lower() not in _SPLIT_NAMES]
    return next(iter(telling or names), "")
