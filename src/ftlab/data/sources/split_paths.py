"""Files of each split: of a file, a list, a glob pattern, a folder of shards, or a folder with several splits."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ftlab.core import globs
from ftlab.core.errors import DataError
from ftlab.data.rows.row import SPLITS
from ftlab.data.sources.formats.saved import is_saved_dataset, saved_splits

# Names of splits, as values of a column and in the names of files.
SPLIT_NAMES = {
    **{name: "train" for name in ("train", "training")},
    **{name: "val" for name in ("val", "valid", "validation", "dev", "devel", "development")},
    **{name: "test" for name in ("test", "testing", "eval")},
}
# Notes on data have these names in capitals; source.txt beside target.txt is data.
_BESIDE_DATA = re.compile(
    r"(?i:[._].*|readme.*|licen[cs]e.*|dataset_infos?\.json)|(SOURCES?|ABOUT|CITATION|NOTICE)(\.(txt|md|rst|cff|bib))?"
)

Spec = str | Sequence[str] | None
IsShard = Callable[[Path], bool]  # of a file in a folder: whether it holds rows, and is not a class by itself


def split_paths(specs: Mapping[str, Spec], is_shard: IsShard) -> dict[str, list[Path]]:
    """Return split -> its files, in natural order where a pattern or a folder names them.

    A folder with files or saved data sets for several splits, given as `train`, has the splits that are not set, too.

    Args:
        specs: split -> file, folder or pattern, or several; None: not set.
        is_shard: tells files with rows from others; a folder with none is returned as it is.

    Raises:
        DataError: something does not exist, a pattern matches nothing, or a folder's files cannot be told apart.
    """
    paths: dict[str, list[Path]] = {}
    for split, spec in specs.items():
        if spec is None:
            continue
        names = [spec] if isinstance(spec, str) or not isinstance(spec, Sequence) else list(spec)
        if not names:
            raise DataError(f"dataset.source.{split} is an empty list of files: name one or more.")
        paths[split] = [path for name in names for path in _paths(name, split, is_shard)]
    train = specs.get("train")
    if isinstance(train, str) and not globs.is_pattern(train) and Path(train).expanduser().is_dir():
        by_split = _splits_in(Path(train).expanduser(), is_shard)
        paths = {**by_split, **paths} if len(by_split) > 1 else paths
    return {split: paths[split] for split in SPLITS if split in paths}


def existing(name: str) -> Path:
    """Return the path of a file or folder.

    Raises:
        DataError: it does not exist.
    """
    path = Path(name).expanduser()
    if not path.exists():
        raise DataError(f"{path} does not exist: give a path relative to {Path.cwd()}, or a full one.")
    return path


def _paths(name: str, split: str, is_shard: IsShard) -> list[Path]:
    """Return the files that one name, folder or pattern stands for."""
    if not isinstance(name, str):
        raise DataError(f"dataset.source.{split} holds {name!r}, which is no path: name files, a folder or a pattern.")
    if not globs.is_pattern(name):
        return _files_in(existing(name), split, is_shard)
    paths = [path for path in globs.matches(name) if not _BESIDE_DATA.fullmatch(path.name)]
    if not paths:
        raise DataError(
            f"dataset.source.{split}={name} matches no file: give a pattern relative to {Path.cwd()}, or a full one."
        )
    return [file for path in paths for file in _files_in(path, split, is_shard)]


def _files_in(path: Path, split: str, is_shard: IsShard) -> list[Path]:
    """Return the files of a split that a path stands for; a folder without shards stands for itself."""
    by_split = _splits_in(path, is_shard) if path.is_dir() else {}
    if not by_split:
        return [path]
    if len(by_split) == 1:
        return next(iter(by_split.values()))
    if split not in by_split:
        raise DataError(
            f"{path} holds files for {' and '.join(by_split)} and none for {split}: name the files of "
            f"dataset.source.{split}."
        )
    return by_split[split]


def _splits_in(folder: Path, is_shard: IsShard) -> dict[str, list[Path]]:
    """Return split -> its files in a folder; under train if their names say nothing; nothing if there are no shards."""
    saved = saved_splits(folder)
    if saved:
        named = {SPLIT_NAMES[name]: [path] for name, path in saved.items() if name in SPLIT_NAMES}
        if not named:
            raise DataError(
                f"{folder} has the splits {', '.join(saved)}: name a folder in it, as {folder}/{min(saved)}."
            )
        return named
    if is_saved_dataset(folder):
        return {}
    files = [entry for entry in folder.iterdir() if entry.is_file() and not _BESIDE_DATA.fullmatch(entry.name)]
    shards = sorted(filter(is_shard, files), key=globs.natural_order)
    if not shards:
        return {}
    others = [entry for entry in folder.iterdir() if entry.is_dir() and not _BESIDE_DATA.fullmatch(entry.name)]
    others += [file for file in files if file not in shards]
    frequencies = Counter(map(_extension, shards))
    if others or (len(frequencies) > 1 and not _is_one_for_each_split(shards)):
        extension = frequencies.most_common(1)[0][0]
        likely = next(shard for shard in shards if _extension(shard) == extension)
        odd = (others or [shard for shard in shards if _extension(shard) != extension])[0]
        raise DataError(
            f"{folder} holds {likely.name} and {odd.name}, so which of them are the rows cannot be told: name the "
            f"files by a pattern, such as '{folder}/*{extension}'."
        )
    return _by_split(folder, shards)


def _extension(path: Path) -> str:
    """Return the extension of a file, with that before .gz, as a pattern needs it."""
    return "".join(path.suffixes[-2:]) if path.suffix == ".gz" else path.suffix


def _is_one_for_each_split(shards: Sequence[Path]) -> bool:
    """Return whether each file is named for a split, and those of one split have one extension."""
    extensions: dict[str, set[str]] = {}
    for shard in shards:
        if (split := _split_named(shard)) is None:
            return False
        extensions.setdefault(split, set()).add(_extension(shard))
    return all(len(names) == 1 for names in extensions.values())


def _split_named(shard: Path) -> str | None:
    """Return the split in the name of a file; None if there is none."""
    words = re.split(r"[^a-z]+", shard.name.lower())
    return next((SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES), None)


def _by_split(folder: Path, shards: Sequence[Path]) -> dict[str, list[Path]]:
    """Divide the files of a folder by the splits in their names."""
    by_split: dict[str | None, list[Path]] = {}
    for shard in shards:
        by_split.setdefault(_split_named(shard), []).append(shard)
    unnamed = by_split.pop(None, [])
    if not by_split:
        return {"train": unnamed}
    if unnamed:
        split, named = next(iter(by_split.items()))
        raise DataError(
            f"{folder} holds {named[0].name}, which is named for {split}, and {unnamed[0].name}, which is named for no "
            "split: name the files of each split, by a list or a pattern."
        )
    return {split: by_split[split] for split in SPLITS if split in by_split}
