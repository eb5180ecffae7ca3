"""Measured rates of the comparison's statements on simulated sweeps: those of docs/statistics_measured.md.

    python -m benchmarks.statements --output after.json [F1 F5 ...]
    PYTHONPATH=<checkout of another commit>/src python -m benchmarks.statements --output before.json
    python -m benchmarks.statements --table before.json after.json > tables.md

Each draw has its own seed, so that two versions see the same sweeps.
"""

import argparse
import json
import time
import zlib
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.decision_cells import advice_cells, margin_cells
from benchmarks.statement_cells import EXPERIMENTS, Cell, coverage_cells, level_cells, reference_cells, special_cells
from benchmarks.statements_of import VERSION, Version, skip_what_is_not_measured

AMOUNTS = ("regret", "width,")  # quantities that are no rates
Measured = dict[str, Any]  # mean, Monte-Carlo standard error, draws


def all_cells(share: float) -> list[Cell]:
    """Return every cell, with this share of the usual draws."""

    def usual(number: int) -> int:
        return max(1, round(number * share))

    return [
        *advice_cells(usual(100)),
        *coverage_cells(usual(200)),
        *level_cells(usual(300)),
        *reference_cells(usual(80)),
        *special_cells(usual(200)),
        *margin_cells(usual(100)),
    ]


def measure(cell: Cell, version: Version) -> dict[str, Measured]:
    """Return mean and Monte-Carlo error of each quantity; None if no draw has it."""
    key = zlib.crc32(f"{cell.experiment} {cell.world}".encode())
    values: dict[str, list[float]] = defaultdict(list)
    for number in range(cell.draws):
        for quantity, value in cell.count(version, np.random.default_rng([key, number])).items():
            values[quantity] += [] if value is None else [value]
    return {quantity: _mean(drawn, is_rate=not quantity.startswith(AMOUNTS)) for quantity, drawn in values.items()}


def _mean(drawn: list[float], *, is_rate: bool) -> Measured:
    """Return the mean with its error; that of a rate is never 0: half a draw is added to either side."""
    number = len(drawn)
    if not number:
        return {"mean": None, "error": None, "draws": 0}
    smooth = (sum(drawn) + 0.5) / (number + 1)
    error = (smooth * (1 - smooth) / number) ** 0.5 if is_rate else float(np.std(drawn)) / number**0.5
    return {"mean": float(np.mean(drawn)), "error": error, "draws": number}


def main() -> None:
    """Measure, or print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiments", nargs="*", help=f"of {', '.join(EXPERIMENTS)}; default: all")
    parser.add_argument("--output", type=Path, help="file for the rates")
    parser.add_argument("--share", type=float, default=1.0, help="share of the usual draws")
    parser.add_argument("--table", nargs=2, type=Path, metavar=("BEFORE", "AFTER"), help="print two such files")
    asked = parser.parse_args()
    if asked.table:
        from benchmarks.statement_tables import markdown

        before, after = (json.loads(path.read_text()) for path in asked.table)
        print(markdown(before, after))
        return
    rates: dict[str, dict[str, dict[str, Measured]]] = defaultdict(dict)
    if asked.output and asked.output.exists():  # what was measured before is kept
        rates.update(json.loads(asked.output.read_text()))
    skip_what_is_not_measured()
    start = time.process_time()
    for cell in all_cells(asked.share):
        if (asked.experiments and cell.experiment not in asked.experiments) or cell.world in rates[cell.experiment]:
            continue
        measured = rates[cell.experiment][cell.world] = measure(cell, VERSION)
        shown = ", ".join(f"{what} {m['mean']:.3f} ± {m['error']:.3f}" for what, m in measured.items() if m["draws"])
        print(f"{time.process_time() - start:5.0f} s  {cell.experiment}, {cell.world}: {shown}", flush=True)
        if asked.output:
            asked.output.write_text(json.dumps(rates, indent=1))


if __name__ == "__main__":
    main()
