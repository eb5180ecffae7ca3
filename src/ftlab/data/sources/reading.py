"""Reader of a configured data set: rows from its source, checked, with role -> text as their values.

Rows of large files are cached on disk under a hash of the files: another rank or a later run reads them from there.
They are in the folder `rows` of ftlab's cache, within the same limit as tokenized examples.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from ftlab.config.groups import DatasetConfig
from ftlab.core.downloads import cache_dir, content_sha256
from ftlab.core.errors import DataError
from ftlab.data.rows import arrow_cache
from ftlab.data.rows.column_roles import ColumnRoles, is_ours
from ftlab.data.rows.detect import SPARSE_COLUMNS, DetectedColumns, detect_columns
from ftlab.data.rows.mapping import BadRowHandler, map_rows
from ftlab.data.rows.references import ReferenceCounter
from ftlab.data.rows.remarks import Remarks
from ftlab.data.rows.row import BadRow, Row
from ftlab.data.rows.row_store import MAX_IN_MEMORY, ROWS_FOLDER, RowFile, StoredRows, collect_rows, write_rows
from ftlab.data.rows.unread import UnreadFields
from ftlab.data.sources import files
from ftlab.data.sources.source import read_source

READING_VERSION = 3  # raise it when a change of ftlab makes other rows of the same files

# Settings that do not change what a row becomes.
_NOT_IN_CACHE_KEY = {
    *("name", "split_seed", "val_fraction", "test_fraction", "max_length", "generate", "template", "system", "prefix"),
    *("loss_on", "truncation", "standardise"),
}


@dataclass(frozen=True)
class SourceRows:
    """Rows of a source, and how they were read.

    Attributes:
        splits: split -> rows, of the splits that the source has; at least train.
        detected: which column plays which role.
        dropped: reason -> rows left out.
        warnings: a sentence on the first of them.
        notes: lines on how the rows were read.
        doubts: see `Origin`.
    """

    splits: Mapping[str, Sequence[Row]]
    detected: DetectedColumns
    dropped: Mapping[str, int]
    warnings: Sequence[str]
    notes: Sequence[str] = ()
    doubts: Sequence[str] = ()


def read_rows(config: DatasetConfig, data_module: type[ColumnRoles]) -> SourceRows:
    """Return the rows of a data set: in memory, or on disk if they are large; the rows are the same either way.

    Raises:
        DataError: a row or the data set cannot be used; names file and line where they are known.
        UserError: the cache cannot be written.
    """
    max_bytes = arrow_cache.max_cache_bytes()
    paths = files.source_files(config.source) if max_bytes and is_ours(data_module) else []
    if sum(path.stat().st_size for path in paths) < MAX_IN_MEMORY:
        splits: dict[str, Sequence[Row]] = {}

        def collect(split: str, rows: Iterable[Row]) -> None:
            splits[split] = collect_rows(rows)

        detected, bad_rows, remarks = _map_splits(config, data_module, collect)
        return SourceRows(splits, detected, bad_rows.dropped, bad_rows.warnings, remarks.notes, remarks.doubts)
    cache_key = {
        "version": READING_VERSION,
        "config": config.model_dump(mode="json", exclude=_NOT_IN_CACHE_KEY),
        "files": [(str(path), content_sha256(path)) for path in paths],
    }
    folder = cache_dir() / ROWS_FOLDER / arrow_cache.folder_name(cache_key)
    source_rows, status = arrow_cache.load_or_build(
        folder, max_bytes, partial(_write_folder, config, data_module), _read_folder
    )
    if status != "loaded":
        return source_rows
    return replace(source_rows, notes=[*source_rows.notes, "rows: from the cache, as their files have not changed"])


def _map_splits(
    config: DatasetConfig, data_module: type[ColumnRoles], consume: Callable[[str, Iterable[Row]], None]
) -> tuple[DetectedColumns, BadRowHandler, Remarks]:
    """Call `consume` with the mapped rows of each split, one split after the other."""
    bad_rows, detected, remarks = BadRowHandler(config.on_bad_rows), DetectedColumns({}), Remarks()
    references = ReferenceCounter()
    kind, converters = data_module.kind, data_module.converters(config)
    unread: UnreadFields | None = None
    rows: Iterable[Row | BadRow]
    for split, rows in read_source(config.source).items():
        remarks.note(*getattr(rows, "notes", ()))
        if split == "train":  # the other splits have its columns
            detected, rows = detect_columns(rows, config.columns, kind.roles, config.shape)
            unread = _unread_fields(config, data_module, detected)
        prepared = data_module.prepare_rows(rows, detected.columns, config, remarks)
        mapped = map_rows(prepared, detected.columns, kind.roles, bad_rows, converters, unread)
        consume(split, references.watch(_require_rows(mapped, split, bad_rows)))
    remarks.note(*references.notes())
    if unread is None:
        return detected, bad_rows, remarks
    notes, doubts = unread.sentences()
    remarks.note(*notes)
    remarks.doubt(*doubts)
    return replace(detected, columns={**detected.columns, **unread.sparse_in_use}), bad_rows, remarks


def _unread_fields(
    config: DatasetConfig, data_module: type[ColumnRoles], detected: DetectedColumns
) -> UnreadFields | None:
    """Return the counter of what is not read, for kinds that learn to write; None for the others."""
    if not data_module.kind.generates:
        return None
    is_detected = detected.shape is not None  # who sets the columns leaves the others out on purpose
    sparse = {role: SPARSE_COLUMNS[role] for role in data_module.kind.roles.sparse if is_detected}
    also_read = [str(column)] if (column := config.source.get("split_column")) else []
    return UnreadFields(sparse, also_read)


def _require_rows(rows: Iterable[Row], split: str, bad_rows: BadRowHandler) -> Iterable[Row]:
    """Yield the same rows; raise if there are none."""
    empty = True
    for row in rows:
        empty = False
        yield row
    if empty:
        first = f", {bad_rows.first.where}: {bad_rows.first.message}" if bad_rows.first else ""
        raise DataError(f"no {split} row can be used ({bad_rows.summary()}){first}; check dataset.columns.")


def _write_folder(config: DatasetConfig, data_module: type[ColumnRoles], folder: Path) -> None:
    splits: list[str] = []

    def write_split(split: str, rows: Iterable[Row]) -> None:
        write_rows(rows, folder / f"{split}.arrow")
        splits.append(split)

    detected, bad_rows, remarks = _map_splits(config, data_module, write_split)
    read = {
        "dropped": bad_rows.dropped,
        "warnings": bad_rows.warnings,
        "notes": remarks.notes,
        "doubts": remarks.doubts,
    }
    arrow_cache.write_metadata(folder, {"splits": splits, "found": asdict(detected), **read})


def _read_folder(folder: Path) -> SourceRows:
    meta = arrow_cache.read_metadata(folder)
    splits = {split: StoredRows(RowFile(folder / f"{split}.arrow")) for split in meta["splits"]}
    read = {key: meta[key] for key in ("dropped", "warnings", "notes", "doubts")}
    return SourceRows(splits, DetectedColumns(**meta["found"]), **read)
