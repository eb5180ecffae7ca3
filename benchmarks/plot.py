"""Lines on logarithmic axes as SVG: what Markdown can show."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

Points = Sequence[tuple[float, float]]


def write(path: Path, title: str, across: str, up: str, lines: Mapping[str, Points]) -> None:
    """Write one chart: points of each line joined, both axes logarithmic; the same points give the same file."""
    with mpl.rc_context({"svg.hashsalt": "ftlab", "svg.fonttype": "none"}):
        figure = Figure(figsize=(5, 3.2), layout="constrained")
        axes = figure.add_subplot(title=title, xlabel=across, ylabel=up, xscale="log", yscale="log")
        for name, points in lines.items():
            axes.plot(*zip(*points, strict=True), marker="o", label=name)
        places = sorted({x for points in lines.values() for x, _ in points})
        axes.set_xticks(places, [f"{x:,}" for x in places])
        axes.set_xticks([], minor=True)
        axes.grid(alpha=0.3)
        axes.legend()
        figure.savefig(path, format="svg", metadata={"Date": None})
