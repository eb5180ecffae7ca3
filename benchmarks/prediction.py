"""Predicted against measured: reads the records of planned sweeps, and prints a table in Markdown.

Make the sweeps first, see docs/planning.md:

    python train.py -m method=lora,full plan=first sweep.name=planned
    python benchmarks/prediction.py outputs/planned
"""

import sys
from pathlib import Path

from ftlab.comparison import compare
from ftlab.comparison.tables import ComparedRun

_HEAD = (
    "| model, method | peak, predicted (MB) | measured (MB) | error "
    "| CPU time, predicted (s) | measured (s) | error | clock time, predicted (s) | measured (s) | error |"
)


def main() -> None:
    roots = [Path(argument) for argument in sys.argv[1:]]
    if not roots:
        sys.exit(__doc__)
    runs = [run for run in compare(roots).runs if run.completed and run.record.predicted]
    if not runs:
        sys.exit("error: no completed run there was planned: give train.py plan=first.")
    print(_HEAD)
    print("|" + "|".join(["---", *["--:"] * 9]) + "|")
    for run in runs:
        print(_line(run))


def _line(run: ComparedRun) -> str:
    predicted, cost = run.record.predicted, run.record.cost
    assert predicted is not None
    assert cost is not None
    pairs = (
        (predicted.memory_bytes.peak / 1e6, (cost.peak_memory_bytes or 0) / 1e6),
        (predicted.train_cpu_s, cost.train_cpu_s),
        (predicted.train_s, cost.train_s),
    )
    cells = [text for pair in pairs for text in _cells(*pair)]
    return f"| {run.record.model}, {run.record.method} | " + " | ".join(cells) + " |"


def _cells(predicted: float | None, measured: float | None) -> list[str]:
    if predicted is None or not measured:
        return ["—"] * 3
    return [f"{predicted:,.1f}", f"{measured:,.1f}", f"{100 * (predicted / measured - 1):+.1f} %"]


if __name__ == "__main__":
    main()
