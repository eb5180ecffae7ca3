"""Advice on the method to use within given limits, from measured rows only; none if the evidence is thin."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ftlab.comparison.formats import format_size
from ftlab.comparison.frontier import MEMORY as MEMORY_AXIS
from ftlab.comparison.frontier import SIZE, TRAINABLE, Measure, headline_metric
from ftlab.comparison.stats.inference import Family
from ftlab.comparison.tables import ComparedRun, Configuration, Table

LimitStatus = Literal["meets", "fails", "unsure"]
MIN_SEEDS = 3  # of a row that is advised: with two, an interval over seeds is too wide to be useful


def _training_and_tuning(run: ComparedRun) -> float | None:
    """Return the seconds of training, including the trials of the search behind the run's settings."""
    return None if run.train_s is None else run.train_s + (run.tuning_s or 0.0)


PREFERENCES: dict[str, Measure] = {
    "time": Measure("training time", False, _training_and_tuning),
    "memory": MEMORY_AXIS,
    "size": SIZE,
    "parameters": TRAINABLE,
}


@dataclass(frozen=True)
class Limits:
    """Limits and preference of the user; None: no limit.

    Attributes:
        memory_bytes: maximum peak memory of training.
        minutes: maximum minutes of a whole run, including set-up, evaluation and the trials behind its settings.
        at_least: (test metric, lowest acceptable value) pairs.
        at_most: (test metric, highest acceptable value) pairs.
        prefer: cost that decides between rows that do not differ significantly, a key of `PREFERENCES`.
    """

    memory_bytes: float | None = None
    minutes: float | None = None
    at_least: tuple[tuple[str, float], ...] = ()
    at_most: tuple[tuple[str, float], ...] = ()
    prefer: str = "time"


@dataclass(frozen=True)
class Assessment:
    """A row checked against the limits: for each limit the status, and the evidence in words."""

    row: Configuration
    evidence: tuple[tuple[LimitStatus, str], ...]

    @property
    def status(self) -> LimitStatus:
        """Return the worst status over all limits; `meets` if there are no limits."""
        statuses = {status for status, _ in self.evidence}
        return "fails" if "fails" in statuses else "unsure" if "unsure" in statuses else "meets"


@dataclass(frozen=True)
class Advice:
    """Advice for one table.

    Attributes:
        method: label of the advised row; None: no answer.
        reasons: sentences, the answer first.
        assessments: every row checked against the limits.
    """

    method: str | None
    reasons: tuple[str, ...]
    assessments: tuple[Assessment, ...]


def advise(table: Table, limits: Limits, run_tests: Callable[[Sequence[Configuration], str], Family | None]) -> Advice:
    """Advise a row of a table, or none.

    Of the rows that surely meet every limit, those that do not differ significantly from the best one count as equally
    good (multiple comparisons with the best; Hsu, 1981); the cheapest of them is advised. A row whose mean is below
    that of a significantly worse row is excluded: it is not significant only because its seeds scatter.

    Args:
        table: measured rows.
        limits: limits that the advised row must meet.
        run_tests: tests rows against the one with this label.
    """
    assessments = tuple(Assessment(row, tuple(_check_limits(table, row, limits))) for row in table.rows)
    fit = [assessment.row for assessment in assessments if assessment.status == "meets"]
    metric = headline_metric(table)
    if not fit or metric is None:
        return Advice(None, tuple(_nothing_fits(assessments, metric)), assessments)
    thin = [row.label for row in fit if len(row.runs) < MIN_SEEDS]
    if thin and len(fit) > 1:
        return Advice(None, (_thin_evidence(thin, fit),), assessments)
    if len(fit) == 1:
        (only,) = fit
        caveat = f" With {len(only.runs)} seed(s) behind it, take it as a first look." if thin else ""
        reason = f"{only.label}: the only row that surely keeps to the limits.{caveat}"
        return Advice(only.label, (reason,), assessments)
    means = {row.label: value.mean for row in fit if (value := row.over_seeds(metric.read))}
    if len(means) < len(fit):
        missing = ", ".join(row.label for row in fit if row.label not in means)
        return Advice(None, (f"No answer: {metric.label} is missing of {missing}.",), assessments)
    best = (max if metric.higher_is_better else min)(means, key=lambda label: means[label])
    family = run_tests(fit, best)
    if family is None or any(contrast.adjusted is None for contrast in family.contrasts):
        untested = "" if family is None else " ".join(contrast.note for contrast in family.contrasts if contrast.note)
        reason = f"No answer: not every row could be tested against {best}. {untested}".strip()
        return Advice(None, (reason,), assessments)
    worse = [contrast.row for contrast in family.contrasts if contrast.is_significant(family.alpha)]
    not_worse = [row for row in fit if row.label not in worse]
    equal = [row for row in not_worse if not _is_below_any(means, row.label, worse, metric)]
    cost = PREFERENCES[limits.prefer]
    chosen = _cheapest(equal, cost)
    if chosen is None:
        return Advice(None, (f"No answer: {cost.label} is missing of a row.",), assessments)
    reasons = _reasons(chosen, best, equal, worse, family, metric, cost)
    if unclear := [row.label for row in not_worse if row not in equal]:
        reasons.append(f"Too scattered to judge, with a mean below a row detected as worse: {', '.join(unclear)}.")
    return Advice(chosen.label, tuple(reasons), assessments)


def _is_below_any(means: Mapping[str, float], label: str, worse: Collection[str], metric: Measure) -> bool:
    """Whether a row's mean is no better than that of a significantly worse row, so that it scatters too much."""
    sign = 1 if metric.higher_is_better else -1
    return any(sign * means[label] <= sign * means[other] for other in worse)


def _check_limits(table: Table, row: Configuration, limits: Limits) -> list[tuple[LimitStatus, str]]:
    """Return status and evidence of each limit."""
    checks: list[tuple[LimitStatus, str]] = []
    if limits.memory_bytes is not None:
        checks.append(
            _within([run.peak_memory_bytes for run in row.runs], limits.memory_bytes, "peak memory", format_size)
        )
    if limits.minutes is not None:
        checks.append(_within([_whole_minutes(run) for run in row.runs], limits.minutes, "whole run", _minutes))
    checks += [_reaches(table, row, name, bound, above=True) for name, bound in limits.at_least]
    checks += [_reaches(table, row, name, bound, above=False) for name, bound in limits.at_most]
    return checks


def _whole_minutes(run: ComparedRun) -> float | None:
    cost = run.record.cost
    return None if cost is None else (cost.setup_s + cost.train_s + cost.eval_s + (run.tuning_s or 0.0)) / 60


def _minutes(value: float) -> str:
    return f"{value:.1f} min"


def _within(
    values: Sequence[float | None], limit: float, name: str, format_value: Callable[[float], str]
) -> tuple[LimitStatus, str]:
    """Check a cost against its limit, by the worst seed."""
    measured = [value for value in values if value is not None]
    if not measured:
        return "unsure", f"{name} was not measured"
    low, high = min(measured), max(measured)
    evidence = f"{name} {format_value(high)}"
    if len(measured) > 1:
        evidence = f"{name} {format_value(low)} to {format_value(high)}"
    if high <= limit:
        return "meets", evidence
    return ("fails" if low > limit else "unsure"), f"{evidence}, limit {format_value(limit)}"


def _reaches(table: Table, row: Configuration, name: str, bound: float, *, above: bool) -> tuple[LimitStatus, str]:
    """Check a test metric against its bound by its confidence interval: the mean alone is not enough."""
    value = row.test(name)
    if value is None:
        return "unsure", f"test {name} is missing"
    family = table.family
    interval = family.intervals.get(row.label) if family and family.column.metric == name else None
    if interval is None:
        return "unsure", f"test {name} {value.mean:.3f} without an interval"
    evidence = f"test {name} {value.mean:.3f} [{interval.low:.3f}, {interval.high:.3f}]"
    low, high = (interval.low, interval.high) if above else (-interval.high, -interval.low)
    bound = bound if above else -bound
    return ("meets" if low >= bound else "fails" if high < bound else "unsure"), evidence


def _nothing_fits(assessments: Sequence[Assessment], metric: Measure | None) -> list[str]:
    if not assessments:
        return ["No answer: no run completed."]
    if metric is None:
        return ["No answer: the runs name no metric to compare."]
    unsure = [assessment for assessment in assessments if assessment.status == "unsure"]
    if not unsure:
        return ["No answer: every row breaks a limit; see the evidence."]
    labels = ", ".join(assessment.row.label for assessment in unsure)
    return [f"No answer: no row surely keeps to the limits. {labels} may: more seeds, or more test rows, would tell."]


def _thin_evidence(thin: Sequence[str], fit: Sequence[Configuration]) -> str:
    methods = ",".join(dict.fromkeys(row.method for row in fit))
    return (
        f"No answer: the evidence is thin. {', '.join(thin)} ran with fewer than {MIN_SEEDS} seeds, which cannot "
        f"separate methods that are near each other. Run: python train.py -m method={methods} seed=0,1,2"
    )


def _cheapest(rows: Sequence[Configuration], cost: Measure) -> Configuration | None:
    """Return the row that costs least; a method that never trains costs nothing. None if a cost is missing."""
    costs: list[tuple[float, Configuration]] = []
    for row in rows:
        value = row.over_seeds(cost.read)
        never_trains = all(run.record.cost is not None and not run.record.cost.optimizer_steps for run in row.runs)
        if value is None and not never_trains:
            return None
        costs.append((value.mean if value else 0.0, row))
    return min(costs, key=lambda pair: pair[0])[1]


def _reasons(
    chosen: Configuration,
    best: str,
    equal: Sequence[Configuration],
    worse: Collection[str],
    family: Family,
    metric: Measure,
    cost: Measure,
) -> list[str]:
    if len(equal) == 1:
        first = f"{chosen.label}: better in {metric.label} than every other row within the limits."
    elif chosen.label == best:
        first = f"{chosen.label}: highest in {metric.label} and cheapest in {cost.label} of the rows not told apart."
        first = first if metric.higher_is_better else first.replace("highest", "lowest")
    else:
        p = next(contrast.adjusted for contrast in family.contrasts if contrast.row == chosen.label)
        first = (
            f"{chosen.label}: not distinguishable from {best}, the best in {metric.label} (p={p:.2g}), and the "
            f"cheapest in {cost.label} of the rows not told apart."
        )
    reasons = [first]
    if others := [row.label for row in equal if row.label != chosen.label]:
        reasons.append(f"Not told apart from it: {', '.join(others)}.")
    if worse:
        reasons.append(f"Detected as worse than {best}: {', '.join(worse)}.")
    labels = {row.label for row in equal}
    detectable = [c.detectable for c in family.contrasts if c.row in labels and c.detectable]
    if detectable:
        reasons.append(f"A true difference below {max(detectable):.2g} would have gone unseen.")
    return reasons
