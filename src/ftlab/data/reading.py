"""From the configuration of a data set to its rows: read, checked, with role -> text as their values.

Rows of large files are kept on disk by what is in the files: the next process, be it another rank or another run,
reads them from there. They lie under `rows` in ftlab's cache, within the bound that the tokenised ones have.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from ftlab.assets import cache_dir, content_sha256
from ftlab.data import cache, files
from ftlab.data.kind import Kind
from ftlab.data.mapping import BadRows, map_rows
from ftlab.data.rows import BadRow, Row
from ftlab.data.shapes import Found, settle
from ftlab.data.source import read_source
from ftlab.data.stored import FOLDER, LARGE, RowFile, StoredRows, gathered, write
from ftlab.errors import DataError
from ftlab.groups import DatasetConfig

READING_VERSION = 1  # raise it when a change of ftlab makes other rows of the same files

# Settings that have no part in what a row becomes.
_AFTERWARDS = {
    *("name", "split_seed", "val_fraction", "test_fraction", "max_length", "generate", "template", "system", "prefix"),
    *("loss_on", "truncation", "standardise"),
}


@dataclass(frozen=True)
class Read:
    """What a source gave.

    Attributes:
        splits: of each split that the source has, its rows; one at least.
        found: which column plays which role.
        dropped: reason -> rows left out.
        warnings: a sentence on the first of them.
        notes: a word on where the rows are from, if it is not the source.
    """

    splits: Mapping[str, Sequence[Row]]
    found: Found
    dropped: Mapping[str, int]
    warnings: Sequence[str]
    notes: Sequence[str] = ()


def read(config: DatasetConfig, kind: type[Kind]) -> Read:
    """Return the rows of a data set, in memory or, of one that is large, on disk; the same rows either way.

    Raises:
        DataError: a row or the whole cannot be used; names file and line where they are known.
        UserError: the cache cannot be written.
    """
    most = cache.bound()
    paths = files.used(config.source) if most else []
    if sum(path.stat().st_size for path in paths) < LARGE:
        splits: dict[str, Sequence[Row]] = {}

        def take(split: str, rows: Iterable[Row]) -> None:
            splits[split] = gathered(rows)

        found, bad = _mapped(config, kind, take)
        return Read(splits, found, bad.dropped, bad.warnings)
    known_by = {
        "version": READING_VERSION,
        "config": config.model_dump(mode="json", exclude=_AFTERWARDS),
        "files": [(str(path), content_sha256(path)) for path in paths],
    }
    folder = cache_dir() / FOLDER / cache.name(known_by)
    opened, how = cache.kept(folder, most, partial(_write, config, kind), _opened)
    if how != "found":
        return opened
    return replace(opened, notes=["rows: from the cache, for their files have not changed"])


def _mapped(
    config: DatasetConfig, kind: type[Kind], take: Callable[[str, Iterable[Row]], None]
) -> tuple[Found, BadRows]:
    """Hand the rows of each split over, one split after the other."""
    bad, found, readers = BadRows(config.on_bad_rows), Found({}), kind.readers(config)
    rows: Iterable[Row | BadRow]
    for split, rows in read_source(config.source).items():
        if split == "train":  # the others have its columns
            found, rows = settle(rows, config.columns, kind.roles, config.shape)
        usable = _some(map_rows(rows, found.columns, kind.roles, bad, readers), split, bad)
        take(split, usable)
    return found, bad


def _some(rows: Iterable[Row], split: str, bad: BadRows) -> Iterable[Row]:
    """Yield the same rows; none at all is an error."""
    empty = True
    for row in rows:
        empty = False
        yield row
    if empty:
        raise DataError(f"no {split} row can be used ({bad.told()}): check dataset.columns.")


def _write(config: DatasetConfig, kind: type[Kind], folder: Path) -> None:
    splits: list[str] = []

    def take(split: str, rows: Iterable[Row]) -> None:
        write(rows, folder / f"{split}.arrow")
        splits.append(split)

    found, bad = _mapped(config, kind, take)
    told = {"splits": splits, "found": asdict(found), "dropped": bad.dropped, "warnings": bad.warnings}
    cache.seal(folder, told)


def _opened(folder: Path) -> Read:
    told = cache.unsealed(folder)
    splits = {split: StoredRows(RowFile(folder / f"{split}.arrow")) for split in told["splits"]}
    return Read(splits, Found(**told["found"]), told["dropped"], told["warnings"])
