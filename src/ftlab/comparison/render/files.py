"""Files of a comparison, in Markdown, CSV, LaTeX, JSON and HTML."""

from pathlib import Path

from ftlab.comparison.render.csv_file import csv_text
from ftlab.comparison.render.json_file import json_text
from ftlab.comparison.render.latex import latex
from ftlab.comparison.render.markdown import markdown
from ftlab.comparison.render.report import report
from ftlab.comparison.tables import Comparison
from ftlab.core.atomic import write_text


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
