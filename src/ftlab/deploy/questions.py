"""What a run is asked: rows without answers, from the command line or a file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ftlab.data import KINDS
from ftlab.data.formats import Reading, format_of, read_file
from ftlab.data.mapping import BadRows, has, map_rows, value_at
from ftlab.data.rows import BadRow, Roles, Row
from ftlab.data.words import words_of
from ftlab.errors import DataError, UserError, did_you_mean
from ftlab.groups import DatasetConfig


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
    return [_row(first, text, f"--text {number}", dataset) for number, text in enumerate(texts, 1)]


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
    reading = Reading(**{key: dataset.source.get(key) for key in _told(path, dataset.source)})
    if path.is_file() and format_of(path) == "txt":
        if "text_pair" in others:
            raise DataError(f"{path}: this run reads pairs of texts: give a csv or jsonl with {_names(columns)}.")
        columns = {first: "text"}
        found = list(read_file(path, reading, "lines"))
    else:
        found = list(read_file(path, reading))
    bad = BadRows("error")
    for row in found:
        if isinstance(row, BadRow):
            bad.meet(row)
    rows = [row for row in found if isinstance(row, Row)]
    present = {str(name) for row in rows for name in row.values}
    for role, column in columns.items():
        if not any(has(row.values, column) for row in rows):
            raise DataError(
                f"{path} has no column {column!r}, which this run reads as {role}: {did_you_mean(column, present)}."
            )
    for row in rows:
        value = value_at(row.values, columns[first])
        if value is None or not str(value).strip():
            raise DataError(f"{row.where}: the column {columns[first]!r} is empty: fill it in, or leave the row out.")
    lists = KINDS[dataset.task].roles.lists
    if first in lists and not any(isinstance(value_at(row.values, columns[first]), list) for row in rows):
        return [_row(first, str(value_at(row.values, columns[first])), row.where, dataset) for row in rows]
    return list(map_rows(rows, columns, Roles(required=(first,), optional=tuple(others), lists=lists), bad))


def _told(path: Path, source: Mapping[str, Any]) -> list[str]:
    """Return what was said of the training files and holds for this one; names of columns are the file's own."""
    trained = source.get("train")
    first = trained[0] if isinstance(trained, list) and trained else trained
    alike = source.get("format") is None and isinstance(first, str) and _ending(Path(first)) == _ending(path)
    same = alike and source.get("_target_") == "ftlab.data.files.read"
    return ["encoding", *(("quotes", "separator") if same else ())]


def _ending(path: Path) -> str:
    return Path(path.name.lower().removesuffix(".gz")).suffix


def _row(role: str, text: str, where: str, dataset: DatasetConfig) -> Row:
    """Return a text as a row; where the run reads words, the words in it."""
    if role in KINDS[dataset.task].roles.lists:
        return Row({role: words_of(text), "text": text}, where)
    return Row({role: text}, where)


def asked(dataset: DatasetConfig) -> dict[str, str]:
    """Return role -> column of what the model is given, the role that no row can do without first.

    Raises:
        UserError: the run is of several data sets.
    """
    if dataset.parts:
        raise UserError(
            f"this run mixes {', '.join(dataset.parts)}, and ftlab predict asks one data set: ftlab export writes the "
            "model, whose outputs are named part/label."
        )
    roles = KINDS[dataset.task].roles
    if roles.conversation and dataset.columns.get(roles.conversation):
        return {roles.given[0]: roles.given[0]}  # a conversation begins: no column of the run held questions alone
    return {role: column for role in roles.given if isinstance(column := dataset.columns.get(role), str)}


def _names(columns: Mapping[str, str]) -> str:
    return " and ".join(columns.values())
