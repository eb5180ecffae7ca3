"""Output of predictions: to the terminal, as JSON lines, or to a file."""

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
from pyarrow import csv, parquet
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ftlab.core.atomic import replacing
from ftlab.core.errors import UserError, did_you_mean
from ftlab.core.escapes import escape_controls
from ftlab.inference.entities import annotate_entities
from ftlab.inference.predictions import Prediction, TagsPrediction, TextPrediction

LABEL_SEPARATOR = "|"


def print_predictions(texts: Sequence[str], predictions: Sequence[Prediction], console: Console) -> None:
    """Print a line for each text with its class, labels, numbers or entities; or each text with the generated one."""
    lines = [_lines(text, prediction) for text, prediction in zip(texts, predictions, strict=True)]
    if all(lines):
        for line in chain.from_iterable(lines):
            console.print(line)
        return
    values = [prediction.to_dict() for prediction in predictions]
    if not all("prediction" in row for row in values):  # of a user's own task kind
        write_jsonl(predictions, console.file)
        return
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column(justify="right", no_wrap=True)
    table.add_column(style="dim")
    labels = [_format_prediction(row["prediction"]) for row in values]
    text_width = max(20, console.width - max(map(cell_len, labels)) - 11)
    for text, label, row in zip(texts, labels, values, strict=True):
        probability = f"{row['probability']:.3f}" if "probability" in row else ""
        excerpt = Text(" ".join(text.split()))
        excerpt.truncate(text_width, overflow="ellipsis")
        table.add_row(Text(label), probability, excerpt)
    console.print(table)


def _lines(text: str, prediction: Prediction) -> list[Text]:
    """Return a text with its tags, or with what follows it; nothing for predictions that a table shows."""
    if isinstance(prediction, TextPrediction):
        return [Text(text, style="dim"), Text(prediction.answer)]
    if not isinstance(prediction, TagsPrediction):
        return []
    if prediction.entities is not None:
        return [Text(annotate_entities(text, prediction.entities))]
    return [Text(" ".join(map("/".join, zip(prediction.words, prediction.tags, strict=True))))]


def _format_prediction(value: Any) -> str:
    """Return a class, labels or numbers as readable text."""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "—"
    if isinstance(value, dict):
        return "  ".join(f"{name} {_format_prediction(number)}" for name, number in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def write_jsonl(
    predictions: Sequence[Prediction], stream: IO[str], keys: Sequence[Mapping[str, Any]] | None = None
) -> None:
    """Write one JSON object per line; `keys`: of each prediction, fields that tell its row and come first."""
    ascii_only = not str(getattr(stream, "encoding", None) or "utf-8").lower().startswith("utf")
    for row in _with_keys(predictions, keys):
        stream.write(_json_line(row, ascii_only=ascii_only))


def _json_line(row: Mapping[str, Any], *, ascii_only: bool = False) -> str:
    """Return one line of JSON, with control characters escaped as JSON has it: it may go to a terminal."""
    text = json.dumps(row, ensure_ascii=ascii_only, default=str)
    return "".join(f"\\u{ord(part):04x}" if escape_controls(part) != part else part for part in text) + "\n"


def write_file(predictions: Sequence[Prediction], path: Path, keys: Sequence[Mapping[str, Any]] | None = None) -> None:
    """Write a file in the format that its suffix names, whole or not at all; `keys`: see `write_jsonl`.

    Where JSON has objects, tables have a column for each entry: `score_` and the class, `prediction_` and the target.
    Where JSON has a list of labels, tables have the labels joined by `|`; csv has other lists as JSON.
    """
    with replacing(path) as new:
        _WRITERS[path.suffix](_with_keys(predictions, keys), new)


def check_output_path(path: Path) -> None:
    """Check that the file can be written, before anything is computed.

    Raises:
        UserError: its suffix is not supported, or its folder does not exist.
    """
    if path.suffix not in _WRITERS:
        raise UserError(f"--output {path} has a format that is not supported: {did_you_mean(path.suffix, _WRITERS)}.")
    if not path.parent.is_dir():
        raise UserError(f"--output {path}: the folder {path.parent} does not exist: create it first.")


def _with_keys(predictions: Sequence[Prediction], keys: Sequence[Mapping[str, Any]] | None) -> list[dict[str, Any]]:
    rows = [prediction.to_dict() for prediction in predictions]
    return rows if keys is None else [{**key, **row} for key, row in zip(keys, rows, strict=True)]


def _write_jsonl_file(predictions: Sequence[Mapping[str, Any]], path: Path) -> None:
    with path.open("w", encoding="utf-8") as stream:
        for row in predictions:
            stream.write(_json_line(row))


def _table(predictions: Sequence[Mapping[str, Any]], *, plain: bool = False) -> pa.Table:
    """Return a table with a row for each prediction; `plain`: without lists."""
    flat = [_flat(prediction) for prediction in predictions]
    return pa.Table.from_pylist([_without_lists(row) for row in flat] if plain else flat)


def _flat(prediction: Mapping[str, Any]) -> dict[str, Any]:
    """Return a prediction as columns: one for each class score and each target; several labels in one text."""
    flat: dict[str, Any] = {}
    for key, value in prediction.items():
        if isinstance(value, dict):
            prefix = "score" if key == "scores" else key
            flat |= {f"{prefix}_{name}": number for name, number in value.items()}
        else:
            is_label_list = key == "prediction" and isinstance(value, list | tuple)
            flat[key] = LABEL_SEPARATOR.join(map(str, value)) if is_label_list else value
    return flat


def _without_lists(prediction: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: json.dumps(value, ensure_ascii=False) if isinstance(value, list | tuple) else value
        for key, value in prediction.items()
    }


_WRITERS: dict[str, Callable[[Sequence[Mapping[str, Any]], Path], None]] = {
    ".csv": lambda predictions, path: csv.write_csv(_table(predictions, plain=True), path),
    ".jsonl": _write_jsonl_file,
    ".parquet": lambda predictions, path: parquet.write_table(_table(predictions), path),
}
