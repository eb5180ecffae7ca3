"""Files of a comparison, in Markdown, CSV, LaTeX, JSON and HTML."""

from collections.abc import Callable
from pathlib import Path

from ftlab.comparison.render.csv_file import csv_text
from ftlab.comparison.render.json_file import json_text
from ftlab.comparison.render.latex import latex
from ftlab.comparison.render.markdown import markdown
from ftlab.comparison.render.report import report
from ftlab.comparison.tables import ComparisonTables
from ftlab.core.atomic import write_text

_RENDERERS: dict[str, Callable[[ComparisonTables, Path], str]] = {
    "comparison.md": lambda comparison, _: markdown(comparison),
    "comparison.csv": csv_text,
    "comparison.tex": lambda comparison, _: latex(comparison),
    "comparison.json": json_text,
    "report.html": report,
}
COMPARISON_FILES = tuple(_RENDERERS)


def write_comparison(comparison: ComparisonTables, directory: Path) -> list[Path]:
    """Write `COMPARISON_FILES` into a folder, which is created if missing; return their paths, in this order."""
    texts = {name: render(comparison, directory) for name, render in _RENDERERS.items()}
    directory.mkdir(parents=True, exist_ok=True)
    return [write_text(directory / name, text) for name, text in texts.items()]
