"""Where answers go: a terminal, JSON lines, or a file."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
from pyarrow import csv, parquet
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ftlab.deploy.tagging import marked
from ftlab.errors import UserError, did_you_mean

Answer = dict[str, Any]

LABEL_SEPARATOR = "|"


def show(texts: Sequence[str], answers: Sequence[Answer], console: Console) -> None:
    """Print a line for each text with its class, labels, numbers or entities; or each text with what was written."""
    if "words" in answers[0]:
        for text, answer in zip(texts, answers, strict=True):
            words = zip(answer["words"], answer["tags"], strict=True)
            tagged = marked(text, answer["entities"]) if "entities" in answer else " ".join(map("/".join, words))
            console.print(Text(tagged))
        return
    if "prediction" not in answers[0]:
        for text, answer in zip(texts, answers, strict=True):
            console.print(Text(text, style="dim"))
            console.print(Text(answer["answer"]))
        return
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column(justify="right", no_wrap=True)
    table.add_column(style="dim")
    given = [_in_a_line(answer["prediction"]) for answer in answers]
    room = max(20, console.width - max(map(cell_len, given)) - 11)
    for text, prediction, answer in zip(texts, given, answers, strict=True):
        start = Text(" ".join(text.split()))
        start.truncate(room, overflow="ellipsis")
        table.add_row(Text(prediction), f"{answer['probability']:.3f}" if "probability" in answer else "", start)
    console.print(table)


def _in_a_line(prediction: Any) -> str:
    """Return a class, labels or numbers as a person reads them."""
    if isinstance(prediction, list):
        return ", ".join(prediction) or "—"
    if isinstance(prediction, dict):
        return "  ".join(f"{name} {number:.4g}" for name, number in prediction.items())
    return prediction if isinstance(prediction, str) else f"{prediction:.4g}"


def write_lines(answers: Sequence[Answer], stream: TextIO) -> None:
    """Write an object a line."""
    for answer in answers:
        stream.write(json.dumps(answer, ensure_ascii=False) + "\n")


def write_file(answers: Sequence[Answer], path: Path) -> None:
    """Write a file of the kind that its name says, whole or not at all.

    Tables have a column for each class's score, `score_` and its name, and for each of several targets, `prediction_`
    and its name, where JSON has objects; labels are joined by `|` where JSON has a list, and csv has other lists as
    JSON.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        _WRITERS[path.suffix](answers, partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def check_name(path: Path) -> None:
    """Refuse a file that could not be written, before anything is computed.

    Raises:
        UserError: its name is of no known kind, or its folder does not exist.
    """
    if path.suffix not in _WRITERS:
        raise UserError(f"--output {path} is of no kind that can be written: {did_you_mean(path.suffix, _WRITERS)}.")
    if not path.parent.is_dir():
        raise UserError(f"--output {path}: the folder {path.parent} does not exist: make it first.")


def _jsonl(answers: Sequence[Answer], path: Path) -> None:
    with path.open("w", encoding="utf-8") as stream:
        write_lines(answers, stream)


def _table(answers: Sequence[Answer], *, plain: bool = False) -> pa.Table:
    """Return a row for each answer; `plain`: without lists."""
    flat = [_flat(answer) for answer in answers]
    return pa.Table.from_pylist([_without_lists(row) for row in flat] if plain else flat)


def _flat(answer: Answer) -> Answer:
    """Return an answer as cells: the scores of classes and the numbers of targets in columns, labels in one text."""
    flat: Answer = {}
    for key, value in answer.items():
        if isinstance(value, dict):
            start = "score" if key == "scores" else key
            flat |= {f"{start}_{name}": number for name, number in value.items()}
        else:
            several = key == "prediction" and isinstance(value, list)
            flat[key] = LABEL_SEPARATOR.join(value) if several else value
    return flat


def _without_lists(answer: Answer) -> Answer:
    return {
        key: json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value
        for key, value in answer.items()
    }


_WRITERS: dict[str, Callable[[Sequence[Answer], Path], None]] = {
    ".csv": lambda answers, path: csv.write_csv(_table(answers, plain=True), path),
    ".jsonl": _jsonl,
    ".parquet": lambda answers, path: parquet.write_table(_table(answers), path),
}
