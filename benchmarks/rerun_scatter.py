"""Scatter of reruns in a comparison whose seeds are campaigns: python benchmarks/rerun_scatter.py comparison.json …

Row and campaign are taken out of each value, so what is left is the scatter of one run from rerun to rerun.
"""

import json
import math
import statistics
import sys
from itertools import combinations
from pathlib import Path

from scipy.stats import kendalltau

FLOOR = 0.30  # accuracy: rows below it are near their lowest value, where runs scatter otherwise
POINT = 0.01


def values_by_row(path: Path) -> dict[str, list[float]]:
    """Return row -> accuracy in points in each campaign; only rows that all campaigns have, above `FLOOR` in each."""
    rows = json.loads(path.read_text(encoding="utf-8"))["tables"][0]["rows"]
    campaigns = max(len(row["seeds"]) for row in rows)
    values = {row["row"]: row["values"]["accuracy"]["by_seed"] for row in rows if len(row["seeds"]) == campaigns}
    return {row: [value / POINT for value in of_row] for row, of_row in values.items() if min(of_row) > FLOOR}


def residual_sd(rows: list[list[float]]) -> tuple[float, int]:
    """Return the standard deviation of a run with row and campaign taken out, and its degrees of freedom."""
    campaigns = [statistics.mean(column) for column in zip(*rows, strict=True)]
    mean = statistics.mean(campaigns)
    squares = (
        (value - statistics.mean(row) - campaign + mean) ** 2
        for row in rows
        for value, campaign in zip(row, campaigns, strict=True)
    )
    freedom = (len(rows) - 1) * (len(campaigns) - 1)
    return math.sqrt(math.fsum(squares) / freedom), freedom


def main(path: Path) -> None:
    """Print the scatter within rows, and what each campaign moved."""
    values = values_by_row(path)
    rows = list(values.values())
    sd, freedom = residual_sd(rows)
    shifted = math.sqrt(statistics.mean(statistics.variance(row) for row in rows))
    print(
        f"{len(rows)} rows above {FLOOR:.0%}: sd of a rerun {sd:.2f} pt ({freedom} df), with the shift {shifted:.2f} pt"
    )
    columns = list(zip(*rows, strict=True))
    for first, second in combinations(range(len(columns)), 2):
        moved = [after - before for before, after in zip(columns[first], columns[second], strict=True)]
        lower = sum(change < 0 for change in moved)
        tau = kendalltau(columns[first], columns[second]).statistic
        print(
            f"campaign {first} to {second}: mean {statistics.mean(moved):+.2f} pt (sd {statistics.stdev(moved):.2f}, "
            f"{min(moved):+.1f} to {max(moved):+.1f}), {lower} of {len(moved)} rows lower; Kendall tau {tau:.2f}"
        )


if __name__ == "__main__":
    for name in sys.argv[1:]:
        main(Path(name))
