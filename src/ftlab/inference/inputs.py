"""Input rows for prediction, without labels: from the command line, a file, or a call in Python."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftlab.config.groups import DatasetConfig
from ftlab.config.task_kind import Roles
from ftlab.core.errors import DataError, UserError, did_you_mean
from ftlab.data.encoding.words import split_words
from ftlab.data.rows.conversations import parse_history
from ftlab.data.rows.mapping import BadRowHandler, map_row
from ftlab.data.rows.row import BadRow, Row, has_column, value_at
from ftlab.data.sources.formats import ReadOptions, format_of, read_file

Input = str | Sequence[str] | Mapping[str, Any]  # a text, words, or column -> value

ID_COLUMN = "id"  # of a file: its values are in the output if rows may be missing there


@dataclass(frozen=True)
class FileRow:
    """A row of a file.

    Attributes:
        number: its number among the rows of the file, from 1.
        id: its value in the column `id`; None if there is none.
        row: with role -> text, or why it cannot be used.
    """

    number: int
    id: Any
    row: Row | BadRow


def from_texts(texts: Sequence[str], dataset: DatasetConfig) -> list[Row]:
    """Return a row for each text of the command line.

    Raises:
        UserError: a text is empty, or the run reads text pairs.
    """
    columns = input_columns(dataset)
    needed = _needed(columns, dataset)
    if len(needed) > 1:
        raise UserError(f"this run reads {' and '.join(needed)}: give --file with the columns {_names(columns)}.")
    for number, text in enumerate(texts, 1):
        if not text.strip():
            raise UserError(f"--text number {number} is empty: give a text with at least one character.")
    rows = [Row({columns[needed[0]]: text}, f"--text {number}") for number, text in enumerate(texts, 1)]
    return usable(_mapped(rows, columns, dataset))


def from_inputs(inputs: Sequence[Input], dataset: DatasetConfig) -> list[Row | BadRow]:
    """Return a row for each input of a call in Python; errors and bad rows name the first one `inputs[0]`.

    Args:
        inputs: each a text, a list of words if the run reads words, or a mapping with the columns that the run read.
        dataset: configuration that names these columns.

    Raises:
        UserError: `inputs` is no list.
        DataError: an input is of another type, or lacks a column.
    """
    columns = input_columns(dataset)
    if isinstance(inputs, str | bytes) or not isinstance(inputs, Sequence):
        raise UserError(
            f"inputs is of type {type(inputs).__name__}: give a list of texts, or of mappings with the columns "
            f"{_names(columns)}, even for a single one."
        )
    rows = [_input_row(item, f"inputs[{index}]", columns, dataset) for index, item in enumerate(inputs)]
    return _mapped(rows, columns, dataset)


def from_file(path: Path, dataset: DatasetConfig) -> list[FileRow]:
    """Return the rows of a file, in its order, with role -> text as their values.

    Args:
        path: csv, tsv, json, jsonl or parquet with the columns that the run read; or txt with one text per line.
        dataset: configuration that names these columns.

    Raises:
        DataError: the file cannot be read, or lacks a column.
    """
    columns = input_columns(dataset)
    options = ReadOptions(**{key: dataset.source.get(key) for key in _shared_options(path, dataset.source)})
    if path.is_file() and format_of(path) == "txt":
        needed = _needed(columns, dataset)
        if len(needed) > 1:
            several = " and ".join(needed)
            raise DataError(f"{path}: this run reads {several}: give a csv or jsonl with {_names(columns)}.")
        columns = {needed[0]: "text"}
        file_rows = list(read_file(path, options, "lines"))
    else:
        file_rows = list(read_file(path, options))
    rows = [row for row in file_rows if isinstance(row, Row)]
    for role, column in columns.items():
        is_needed = role not in dataset.kind.roles.sparse
        if rows and is_needed and not any(has_column(row.values, column) for row in rows):
            raise _missing_column(str(path), role, column, rows)
    ids = [None if isinstance(row, BadRow) else row.values.get(ID_COLUMN) for row in file_rows]
    return list(map(FileRow, range(1, len(file_rows) + 1), ids, _mapped(file_rows, columns, dataset)))


def usable(rows: Iterable[Row | BadRow], remedy: str = "") -> list[Row]:
    """Return these rows; `remedy` continues the error, as `, or …`.

    Raises:
        DataError: one of them cannot be used.
    """
    usable_rows = []
    for row in rows:
        if isinstance(row, BadRow):
            raise DataError(f"{row.where}: {row.message}{remedy}.")
        usable_rows.append(row)
    return usable_rows


def without_bad_rows(rows: Sequence[FileRow], path: Path) -> tuple[list[FileRow], list[str]]:
    """Return the rows of a file that can be used, and a sentence on the others, if there are any.

    Raises:
        DataError: no row can be used.
    """
    bad_rows = BadRowHandler("skip")
    for row in rows:
        if isinstance(row.row, BadRow):
            bad_rows.handle(row.row)
    remaining = [row for row in rows if isinstance(row.row, Row)]
    if not remaining and bad_rows.first is not None:
        first = bad_rows.first
        raise DataError(
            f"no row of {path} can be predicted ({bad_rows.summary()}), {first.where}: {first.message}; check its "
            "columns."
        )
    return remaining, bad_rows.warnings


def row_keys(rows: Sequence[FileRow]) -> list[dict[str, Any]]:
    """Return what tells each row of a file: its number `row`, and its `id` if the file has that column."""
    has_ids = any(row.id is not None for row in rows)
    return [{"row": row.number, **({ID_COLUMN: row.id} if has_ids else {})} for row in rows]


def _input_row(item: Any, where: str, columns: Mapping[str, str], dataset: DatasetConfig) -> Row:
    """Return an input of a call with column -> value, after a check of its type and columns."""
    needed = _needed(columns, dataset)
    if isinstance(item, Mapping):
        row = Row(item, where)
        for role in needed:
            if not has_column(item, columns[role]):
                raise _missing_column(where, role, columns[role], [row])
        return row
    forms: dict[str, Any] = {"a text": str} if len(needed) == 1 else {}
    if forms and needed[0] in dataset.kind.roles.lists:
        forms["a list of words"] = list | tuple
    if isinstance(item, tuple(forms.values())):
        return Row({columns[needed[0]]: item}, where)
    mapping = f"a mapping with the columns {_names(columns)}"
    raise DataError(f"{where} is of type {type(item).__name__}: this run reads {' or '.join([*forms, mapping])}.")


def _mapped(rows: Sequence[Row | BadRow], columns: Mapping[str, str], dataset: DatasetConfig) -> list[Row | BadRow]:
    """Return rows of column -> value with role -> text; each on its own, so that none depends on the others.

    A text where the run reads words is split into words, and kept beside them.
    """
    kind_roles, (first, *others) = dataset.kind.roles, columns
    roles = Roles(
        required=(first, *(role for role in others if role in kind_roles.required)),
        optional=tuple(role for role in others if role not in kind_roles.sparse),
        lists=tuple(role for role in kind_roles.lists if role in columns),
        sparse=tuple(role for role in kind_roles.sparse if role in columns),
    )
    converters = {"history": parse_history} if "history" in columns else {}
    mapped_rows: list[Row | BadRow] = []
    for row in rows:
        if isinstance(row, BadRow):
            mapped_rows.append(row)
            continue
        values = {column: value_at(row.values, column) for column in columns.values()}
        text = values[columns[first]]
        is_split = first in roles.lists and isinstance(text, str)
        if is_split:
            values[columns[first]] = split_words(text)
        mapped = map_row(Row(values, row.where), columns, roles, converters)
        if is_split and isinstance(mapped, Row):
            mapped = Row({**mapped.values, "text": text}, row.where)
        mapped_rows.append(mapped)
    return mapped_rows


def _missing_column(where: str, role: str, column: str, rows: Sequence[Row]) -> DataError:
    present = {str(name) for row in rows for name in row.values}
    remedy = did_you_mean(column, present) if present else "it has no columns at all"
    return DataError(f"{where} has no column {column!r}, which this run reads as {role}: {remedy}.")


def _shared_options(path: Path, source: Mapping[str, Any]) -> list[str]:
    """Return the options of the training files that apply to this file too."""
    train_files = source.get("train")
    first = train_files[0] if isinstance(train_files, list) and train_files else train_files
    same_suffix = source.get("format") is None and isinstance(first, str) and _suffix(Path(first)) == _suffix(path)
    same_format = same_suffix and source.get("_target_") == "ftlab.data.sources.files.read"
    return ["encoding", *(("quotes", "separator") if same_format else ())]


def _suffix(path: Path) -> str:
    return Path(path.name.lower().removesuffix(".gz")).suffix


def input_columns(dataset: DatasetConfig) -> dict[str, str]:
    """Return role -> column of the model's inputs; the required role comes first.

    Raises:
        UserError: the run was trained on several data sets, or its columns are not those of its task.
    """
    if dataset.parts:
        raise UserError(
            f"this run mixes {', '.join(dataset.parts)}, and ftlab predict supports a single data set: use ftlab "
            "export instead; the outputs of the exported model are named part/label."
        )
    roles = dataset.kind.roles
    if roles.conversation and dataset.columns.get(roles.conversation):
        return {roles.inputs[0]: roles.inputs[0]}  # the text is the first message: no column has prompts alone
    inputs = (*roles.inputs, *roles.sparse_inputs)
    columns = {role: column for role in inputs if isinstance(column := dataset.columns.get(role), str)}
    if not columns:
        raise UserError(
            f"this run names no column for {' and '.join(roles.inputs)}, which dataset.task={dataset.task} reads: its "
            "record does not fit the task; restore it, or run the job again."
        )
    return columns


def _needed(columns: Mapping[str, str], dataset: DatasetConfig) -> list[str]:
    """Return the inputs that every row must have, in the order of the columns.

    These are the first, the required ones, and the second text of a pair; the `input` of an instruction may be empty.
    """
    first, *others = columns
    return [first, *(role for role in others if role == "text_pair" or role in dataset.kind.roles.required)]


def _names(columns: Mapping[str, str]) -> str:
    return " and ".join(columns.values())
