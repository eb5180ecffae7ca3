"""Runs that collapsed: a rate of its own beside a row's mean, which is no summary of sound runs and failed ones.

A run collapsed if it is no better than the best constant answer to the test split, or if it is far worse than the other
seeds of its row: by more than 5 standard deviations of sound runs, in an estimate that collapsed ones do not change.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median, median_low

from ftlab.comparison.stats.metric_range import metric_range
from ftlab.comparison.tables import Configuration, Table
from ftlab.record import MetricColumn

MIN_SEEDS = 3  # of a row, for a median that one collapsed run does not change
_MAX_SDS = 5.0
_SD_PER_MAD = 1.4826  # of a normal distribution
_LEVEL = 0.95
_ROUNDING_ERROR = 1e-6  # of a metric that a run computed in float32


@dataclass(frozen=True)
class Collapse:
    """Collapsed runs of a row, of which there is at least one.

    Attributes:
        row: label of the row.
        seeds: of the collapsed runs.
        runs: number of the row's runs.
        low: lower end of the 95 % interval of the rate (Clopper and Pearson, 1934).
        high: upper end.
    """

    row: str
    seeds: tuple[int, ...]
    runs: int
    low: float
    high: float

    def __str__(self) -> str:
        """Return a sentence without its end: `2 of 5 runs of prefix collapsed (rate 5 to 85 %)`."""
        rate = f"rate {100 * self.low:.0f} to {100 * self.high:.0f} %"
        noun = "run" if self.runs == 1 else "runs"
        return f"{len(self.seeds)} of {self.runs} {noun} of {self.row} collapsed ({rate})"


def collapsed_runs(table: Table) -> dict[str, Collapse]:
    """Return label -> collapse of the rows with a run that trained and collapsed, by the first headline metric.

    A correlation is not defined of a run that gives one answer, which then counts by the metric of the baseline.
    """
    if not table.columns:
        return {}
    first = table.columns[0]
    values = {row.label: _goodness(row, first) for row in table.rows}
    deviations = {label: _deviations(of_row) for label, of_row in values.items()}
    of_all_rows = [deviation for of_row in deviations.values() for deviation in of_row]
    collapses = {}
    for row in table.rows:
        collapsed = _no_better_than_baseline(table, row)
        if of_row := deviations[row.label]:
            middle = median(values[row.label].values())
            sd = _SD_PER_MAD * max(median(of_all_rows), median_low(of_row))  # methods differ in how far seeds scatter
            limit = _MAX_SDS * max(sd, _sd_of_examples(row, first.metric, abs(middle)))
            collapsed |= {seed for seed, value in values[row.label].items() if middle - value > limit > 0}
        runs = len(values[row.label].keys() | collapsed)
        if collapsed:
            rate = _rate(len(collapsed), runs)
            collapses[row.label] = Collapse(row.label, tuple(sorted(collapsed)), runs, *rate)
    return collapses


def _no_better_than_baseline(table: Table, row: Configuration) -> set[int]:
    """Return the seeds of a row that are no better than the best constant answer.

    If that is of another metric than the first, only runs without the first are judged by it.
    """
    baseline = table.baseline
    if baseline is None:
        return set()
    constant = (baseline.value if baseline.column.higher_is_better else -baseline.value) + _ROUNDING_ERROR
    judged = {seed for seed, value in _goodness(row, baseline.column).items() if value <= constant}
    return judged if baseline.column == table.columns[0] else judged - _goodness(row, table.columns[0]).keys()


def _goodness(row: Configuration, column: MetricColumn) -> dict[int, float]:
    """Return seed -> metric of the runs that trained, the higher the better."""
    sign = 1.0 if column.higher_is_better else -1.0
    return {
        run.record.seed: sign * value
        for run in row.runs
        if run.train_s is not None and (value := run.test(column.metric)) is not None
    }


def _deviations(values: Mapping[int, float]) -> list[float]:
    """Return the absolute deviations of a row's seeds from their median, in order; empty if there are too few seeds.

    With an odd number of seeds one run is the median: its deviation of 0 says nothing and is left out. With it, 3 sound
    seeds in 6 rows gave a collapse in 26 % of tables, without it in 1 %.
    """
    if len(values) < MIN_SEEDS:
        return []
    middle = median(values.values())
    return sorted(abs(value - middle) for value in values.values())[len(values) % 2 :]


def _sd_of_examples(row: Configuration, metric: str, value: float) -> float:
    """Return the standard deviation that the choice of test examples alone causes; 0 if it is not known.

    Seeds that happen to have the same value would make every other value a collapse.
    """
    sizes = [scored.n for run in row.runs if (scored := run.record.test_metric(metric)) is not None]
    if metric_range(metric) != (0.0, 1.0) or not sizes:
        return 0.0
    n = min(sizes)
    share = (value * n + 1) / (n + 2)  # never 0 or 1
    return float((share * (1 - share) / n) ** 0.5) if n else 0.0


def _rate(count: int, runs: int) -> tuple[float, float]:
    """Return the 95 % interval of a rate."""
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(count, runs, 1 - _LEVEL, method="beta")
    return float(low), float(high)
