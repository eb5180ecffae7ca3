"""Atomic writing of a comparison's files: a reader sees the old file or the new one, never half of one."""

import os
import uuid
from pathlib import Path

from ftlab.comparison.render.csv_file import csv_text
from ftlab.comparison.render.json_file import json_text
from ftlab.comparison.render.latex import latex
from ftlab.comparison.render.markdown import markdown
from ftlab.comparison.render.report import report
from ftlab.comparison.tables import Comparison


def write_comparison(comparison: Comparison, directory: Path) -> list[Path]:
    """Write comparison.md, .csv, .tex and .json, and report.html into a folder, which is created if missing.

    Returns:
        The five paths, in this order.
    """
    texts = {
        "comparison.md": markdown(comparison),
        "comparison.csv": csv_text(comparison, directory),
        "comparison.tex": latex(comparison),
        "comparison.json": json_text(comparison, directory),
        "report.html": report(comparison, directory),
    }
    directory.mkdir(parents=True, exist_ok=True)
    return [write_text(directory / name, text) for name, text in texts.items()]


def write_text(path: Path, text: str) -> Path:
    """Write or replace a file atomically and return its path."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}")
    try:
        with partial.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)  # still there only if writing failed
    return path
