"""Input rows for prediction, without labels: from the command line or a file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ftlab.config.groups import DatasetConfig
from ftlab.config.task_kind import Roles
from ftlab.core.errors import DataError, UserError, did_you_mean
from ftlab.data.encoding.words import split_words
from ftlab.data.rows.mapping import BadRowHandler, has_column, map_rows, value_at
from ftlab.data.rows.row import BadRow, Row
from ftlab.data.sources.formats import ReadOptions, format_of, read_file


def from_texts(texts: Sequence[str], dataset: DatasetConfig) -> list[Row]:
    """Return a row for each text.

    Raises:
        UserError: a text is empty, or the run reads text pairs.
    """
    first, *others = input_columns(dataset)
    if needed := _needed(others, dataset):
        columns = _names(input_columns(dataset))
        raise UserError(f"this run reads {first} and {' and '.join(needed)}: give --file with the columns {columns}.")
    for number, text in enumerate(texts, 1):
        if not text.strip():
            raise UserError(f"--text number {number} is empty: give a text with at least one character.")
    return [_row(first, text, f"--text {number}", dataset) for number, text in enumerate(texts, 1)]


def from_file(path: Path, dataset: DatasetConfig) -> list[Row]:
    """Return the rows of a file, in its order, with role -> text as their values.

    Args:
        path: csv, tsv, json, jsonl or parquet with the columns that the run read; or txt with one text per line.
        dataset: configuration that names these columns.

    Raises:
        DataError: the file cannot be read, lacks a column, or has a row without text; names file and line.
    """
    columns = input_columns(dataset)
    first, *others = columns
    options = ReadOptions(**{key: dataset.source.get(key) for key in _shared_options(path, dataset.source)})
    if path.is_file() and format_of(path) == "txt":
        if needed := _needed(others, dataset):
            several = f"{first} and {' and '.join(needed)}"
            raise DataError(f"{path}: this run reads {several}: give a csv or jsonl with {_names(columns)}.")
        columns = {first: "text"}
        file_rows = list(read_file(path, options, "lines"))
    else:
        file_rows = list(read_file(path, options))
    bad = BadRowHandler("error")
    for row in file_rows:
        if isinstance(row, BadRow):
            bad.handle(row)
    rows = [row for row in file_rows if isinstance(row, Row)]
    present = {str(name) for row in rows for name in row.values}
    for role, column in columns.items():
        if not any(has_column(row.values, column) for row in rows):
            raise DataError(
                f"{path} has no column {column!r}, which this run reads as {role}: {did_you_mean(column, present)}."
            )
    for row in rows:
        value = value_at(row.values, columns[first])
        if value is None or not str(value).strip():
            raise DataError(f"{row.where}: the column {columns[first]!r} is empty: fill it in, or leave the row out.")
    lists = dataset.kind.roles.lists
    if first in lists and not any(isinstance(value_at(row.values, columns[first]), list) for row in rows):
        return [_row(first, str(value_at(row.values, columns[first])), row.where, dataset) for row in rows]
    roles = Roles(
        required=(first, *(role for role in others if role in dataset.kind.roles.required)),
        optional=tuple(others),
        lists=tuple(role for role in lists if role in columns),
    )
    return list(map_rows(rows, columns, roles, bad))


def _shared_options(path: Path, source: Mapping[str, Any]) -> list[str]:
    """Return the options of the training files that apply to this file too."""
    train_files = source.get("train")
    first = train_files[0] if isinstance(train_files, list) and train_files else train_files
    same_suffix = source.get("format") is None and isinstance(first, str) and _suffix(Path(first)) == _suffix(path)
    same_format = same_suffix and source.get("_target_") == "ftlab.data.sources.files.read"
    return ["encoding", *(("quotes", "separator") if same_format else ())]


def _suffix(path: Path) -> str:
    return Path(path.name.lower().removesuffix(".gz")).suffix


def _row(role: str, text: str, where: str, dataset: DatasetConfig) -> Row:
    """Return a text as a row; if the run reads words, split into words."""
    if role in dataset.kind.roles.lists:
        return Row({role: split_words(text), "text": text}, where)
    return Row({role: text}, where)


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
    columns = {role: column for role in roles.inputs if isinstance(column := dataset.columns.get(role), str)}
    if not columns:
        raise UserError(
            f"this run names no column for {' and '.join(roles.inputs)}, which dataset.task={dataset.task} reads: its "
            "record does not fit the task; restore it, or run the job again."
        )
    return columns


def _needed(others: Sequence[str], dataset: DatasetConfig) -> list[str]:
    """Return the inputs besides the first that every row must have.

    These are the required ones, and the second text of a pair; the `input` of an instruction may be empty.
    """
    return [role for role in others if role == "text_pair" or role in dataset.kind.roles.required]


def _names(columns: Mapping[str, str]) -> str:
    return " and ".join(columns.values())
