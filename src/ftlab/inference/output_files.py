"""Output of predictions: to the terminal, as JSON lines, or to a file."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
from pyarrow import csv, parquet
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ftlab.core.errors import UserError, did_you_mean
from ftlab.inference.entities import annotate_entities
from ftlab.inference.loaded_run import Prediction

LABEL_SEPARATOR = "|"


def print_predictions(texts: Sequence[str], predictions: Sequence[Prediction], console: Console) -> None:
    """Print a line for each text with its class, labels, numbers or entities; or each text with the generated one."""
    if "words" in predictions[0]:
        for text, prediction in zip(texts, predictions, strict=True):
            words = zip(prediction["words"], prediction["tags"], strict=True)
            if "entities" in prediction:
                line = annotate_entities(text, prediction["entities"])
            else:
                line = " ".join(map("/".join, words))
            console.print(Text(line))
        return
    if "answer" in predictions[0]:
        for text, prediction in zip(texts, predictions, strict=True):
            console.print(Text(text, style="dim"))
            console.print(Text(str(prediction["answer"])))
        return
    if "prediction" not in predictions[0]:  # of a user's own task kind
        write_jsonl(predictions, console.file)
        return
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column(justify="right", no_wrap=True)
    table.add_column(style="dim")
    labels = [_format_prediction(prediction["prediction"]) for prediction in predictions]
    text_width = max(20, console.width - max(map(cell_len, labels)) - 11)
    for text, label, prediction in zip(texts, labels, predictions, strict=True):
        probability = f"{prediction['probability']:.3f}" if "probability" in prediction else ""
        excerpt = Text(" ".join(text.split()))
        excerpt.truncate(text_width, overflow="ellipsis")
        table.add_row(Text(label), probability, excerpt)
    console.print(table)


def _format_prediction(value: Any) -> str:
    """Return a class, labels or numbers as readable text."""
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "—"
    if isinstance(value, dict):
        return "  ".join(f"{name} {_format_prediction(number)}" for name, number in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def write_jsonl(predictions: Sequence[Prediction], stream: IO[str]) -> None:
    """Write one JSON object per line."""
    for prediction in predictions:
        stream.write(json.dumps(prediction, ensure_ascii=False) + "\n")


def write_file(predictions: Sequence[Prediction], path: Path) -> None:
    """Write a file in the format that its suffix names, whole or not at all.

    Where JSON has objects, tables have a column for each entry: `score_` and the class, `prediction_` and the target.
    Where JSON has a list of labels, tables have the labels joined by `|`; csv has other lists as JSON.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        _WRITERS[path.suffix](predictions, partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def check_output_path(path: Path) -> None:
    """Check that the file can be written, before anything is computed.

    Raises:
        UserError: its suffix is not supported, or its folder does not exist.
    """
    if path.suffix not in _WRITERS:
        raise UserError(f"--output {path} has a format that is not supported: {did_you_mean(path.suffix, _WRITERS)}.")
    if not path.parent.is_dir():
        raise UserError(f"--output {path}: the folder {path.parent} does not exist: create it first.")


def _write_jsonl_file(predictions: Sequence[Prediction], path: Path) -> None:
    with path.open("w", encoding="utf-8") as stream:
        write_jsonl(predictions, stream)


def _table(predictions: Sequence[Prediction], *, plain: bool = False) -> pa.Table:
    """Return a table with a row for each prediction; `plain`: without lists."""
    flat = [_flat(prediction) for prediction in predictions]
    return pa.Table.from_pylist([_without_lists(row) for row in flat] if plain else flat)


def _flat(prediction: Prediction) -> Prediction:
    """Return a prediction as columns: one for each class score and each target; several labels in one text."""
    flat: Prediction = {}
    for key, value in prediction.items():
        if isinstance(value, dict):
            prefix = "score" if key == "scores" else key
            flat |= {f"{prefix}_{name}": number for name, number in value.items()}
        else:
            is_label_list = key == "prediction" and isinstance(value, list)
            flat[key] = LABEL_SEPARATOR.join(map(str, value)) if is_label_list else value
    return flat


def _without_lists(prediction: Prediction) -> Prediction:
    return {
        key: json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value
        for key, value in prediction.items()
    }


_WRITERS: dict[str, Callable[[Sequence[Prediction], Path], None]] = {
    ".csv": lambda predictions, path: csv.write_csv(_table(predictions, plain=True), path),
    ".jsonl": _write_jsonl_file,
    ".parquet": lambda predictions, path: parquet.write_table(_table(predictions), path),
}
