"""What a run is asked: rows without answers, from the command line or a file."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ftlab.data import KINDS
from ftlab.data.files import read_file
from ftlab.data.rows import Roles, Row, map_rows
from ftlab.errors import DataError, UserError, did_you_mean
from ftlab.schema import DatasetConfig


def from_texts(texts: Sequence[str], dataset: DatasetConfig) -> list[Row]:
    """Return a row for each text.

    Raises:
        UserError: a text is empty, or the run reads pairs of texts.
    """
    first, *others = asked(dataset)
    if "text_pair" in others:
        raise UserError("this run reads pairs of texts: give --file with the columns " + _names(asked(dataset)) + ".")
    for number, text in enumerate(texts, 1):
        if not text.strip():
            raise UserError(f"--text number {number} is empty: give it something to read.")
    return [Row({first: text}, f"--text {number}") for number, text in enumerate(texts, 1)]


def from_file(path: Path, dataset: DatasetConfig) -> list[Row]:
    """Return the rows of a file: one for each of its own, in its order, with role -> text as their values.

    Args:
        path: csv, tsv, json, jsonl or parquet with the columns that the run read; or txt with a text a line.
        dataset: says which columns these are.

    Raises:
        DataError: the file cannot be read, lacks a column, or has a row without text; names file and line.
    """
    columns = asked(dataset)
    first, *others = columns
    # as the training files were read; names of columns are the file's own
    rows = read_file(path, **{key: dataset.source.get(key) for key in ("quotes", "encoding")})
    if path.name.lower().removesuffix(".gz").endswith(".txt"):
        if "text_pair" in others:
            raise DataError(f"{path}: this run reads pairs of texts: give a csv or jsonl with {_names(columns)}.")
        return [Row({first: line}, row.where) for row in rows for line in row.values["text"].split("\n")]
    present = {str(name) for row in rows for name in row.values}
    for role, column in columns.items():
        if column not in present:
            raise DataError(
                f"{path} has no column {column!r}, which this run reads as {role}: {did_you_mean(column, present)}."
            )
    for row in rows:
        value = row.values.get(columns[first])
        if value is None or not str(value).strip():
            raise DataError(f"{row.where}: the column {columns[first]!r} is empty: fill it in, or leave the row out.")
    return map_rows(rows, columns, Roles(required=(first,), optional=tuple(others)), incomplete="error")[0]


def asked(dataset: DatasetConfig) -> dict[str, str]:
    """Return role -> column of what the model is given, the role that no row can do without first."""
    roles = KINDS[dataset.task].roles
    given = roles.given
    if roles.conversation and dataset.columns.get(roles.conversation):
        return {given[0]: given[0]}  # a conversation begins: no column of the run held questions alone
    return {role: column for role in given if (column := dataset.columns.get(role))}


def _names(columns: Mapping[str, str]) -> str:
    return " and ".join(columns.values())
