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


def show(texts: Sequence[str], answers: Sequence[Answer], console: Console) -> None:
    """Print a line for each text with its class or with its entities, or each text with what was written."""
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
    table.add_column(style="bold", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(style="dim")
    room = max(20, console.width - max(cell_len(answer["prediction"]) for answer in answers) - 11)
    for text, answer in zip(texts, answers, strict=True):
        start = Text(" ".join(text.split()))
        start.truncate(room, overflow="ellipsis")
        table.add_row(Text(answer["prediction"]), f"{answer['probability']:.3f}", start)
    console.print(table)


def write_lines(answers: Sequence[Answer], stream: TextIO) -> None:
    """Write an object a line."""
    for answer in answers:
        stream.write(json.dumps(answer, ensure_ascii=False) + "\n")


def write_file(answers: Sequence[Answer], path: Path) -> None:
    """Write a file of the kind that its name says, whole or not at all.

    Tables have a column for each class's score, `score_` and its name, where JSON has an object of them, and csv has
    lists as JSON.
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


def _table(answers: Sequence[Answer]) -> pa.Table:
    flat = []
    for answer in answers:
        scores = answer.get("scores", {})
        plain = {key: value for key, value in answer.items() if key != "scores"}
        flat.append({**plain, **{f"score_{label}": score for label, score in scores.items()}})
    return pa.Table.from_pylist(flat)


def _without_lists(answer: Answer) -> Answer:
    return {
        key: json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value
        for key, value in answer.items()
    }


_WRITERS: dict[str, Callable[[Sequence[Answer], Path], None]] = {
    ".csv": lambda answers, path: csv.write_csv(_table([*map(_without_lists, answers)]), path),
    ".jsonl": _jsonl,
    ".parquet": lambda answers, path: parquet.write_table(_table(answers), path),
}
