"""Advice on the method to use within given limits, from measured rows only; none if the evidence is thin."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from ftlab.comparison.collapse import collapsed_runs
from ftlab.comparison.declared import MarginText
from ftlab.comparison.formats import format_size, name_some
from ftlab.comparison.frontier import MEMORY as MEMORY_AXIS
from ftlab.comparison.frontier import SIZE, TRAINABLE, Measure, headline_metric
from ftlab.comparison.looks import NOT_IN
from ftlab.comparison.stats.inference import Family, MarginStatements
from ftlab.comparison.tables import ComparedRun, Configuration, Table

LimitStatus = Literal["meets", "fails", "unsure"]
MIN_SEEDS = 3  # of a row that is advised: with two, an interval over seeds is too wide to be useful
FAILURES, COLLAPSES = "failures", "collapses"  # words of --allow: what bars a row unless it is allowed
_MAX_NAMES = 5


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
        prefer: cost that decides between rows that are as good as the best, a key of `PREFERENCES`.
        margin: rows shown to be at most this far behind the best are as good; None: see `compare`.
        allow: differences that do not prevent a test; and `FAILURES` and `COLLAPSES`, with which a row may be advised
            although some of its runs failed or collapsed.
    """

    memory_bytes: float | None = None
    minutes: float | None = None
    at_least: tuple[tuple[str, float], ...] = ()
    at_most: tuple[tuple[str, float], ...] = ()
    prefer: str = "time"
    margin: MarginText = None
    allow: frozenset[str] = frozenset()


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


def advise(table: Table, limits: Limits, run_tests: Callable[[Sequence[Configuration]], Family | None]) -> Advice:
    """Advise a row of a table, or none.

    Of the rows that surely meet every limit, those that are shown to be at most the margin behind the best one are as
    good as it (comparisons with the best; Hsu, 1984); the cheapest of them is advised. A row that could not be told
    apart from the best is not as good for that: there is no answer then, and the seeds that would give one are named.
    Rows of which runs failed or collapsed are left out, unless `limits.allow` lets them in.

    Args:
        table: measured rows.
        limits: limits that the advised row must meet.
        run_tests: tests rows within the margin against the best of them.
    """
    assessments = tuple(Assessment(row, tuple(_check_limits(table, row, limits))) for row in table.rows)
    fit = [assessment.row for assessment in assessments if assessment.status == "meets"]
    metric = headline_metric(table)
    if not fit or metric is None:
        return Advice(None, tuple(_nothing_fits(assessments, metric)), assessments)
    barred = _barred_rows(table, fit, limits.allow)
    reasons = [f"{label} is left out: {why}." for label, why in barred.items()]

    def advice(label: str | None, *sentences: str) -> Advice:
        return Advice(label, (*sentences, *reasons), assessments)

    rows = [row for row in fit if row.label not in barred]
    if not rows:
        return advice(None, "No answer: runs of every row within the limits failed or collapsed.")
    thin = [row.label for row in rows if len(row.runs) < MIN_SEEDS]
    if thin and len(rows) > 1:
        return advice(None, _thin_evidence(thin, rows))
    if len(rows) == 1:
        (only,) = rows
        which = "that surely keeps to the limits" + (" and of which no run failed or collapsed" if barred else "")
        caveat = f" With {len(only.runs)} seed(s) behind it, take it as a first look." if thin else ""
        return advice(only.label, f"{only.label}: the only row {which}.{caveat}")
    if missing := [row.label for row in rows if row.over_seeds(metric.read) is None]:
        return advice(None, f"No answer: {metric.label} is missing of {', '.join(missing)}.")
    family = run_tests(rows)
    within = family.within_margin if family else None
    if family is None or within is None:
        if family and (apart := _not_compared(family, rows)):
            return advice(None, "No answer: the rows within the limits are not comparable.", *apart)
        return advice(None, f"No answer: say how far behind the best a row may be, in {metric.label}: --margin VALUE.")
    as_good = [row for row in rows if _verdict(within, row) == "as good"]
    others = [*_others(within), *_not_compared(family, rows)]
    if not as_good:
        return advice(None, _no_answer(within, metric), *others)
    cost = PREFERENCES[limits.prefer]
    chosen = _cheapest(as_good, cost)
    if chosen is None:
        return advice(None, f"No answer: {cost.label} is missing of a row.")
    if equals := [row.label for row in as_good if row is not chosen]:
        others.insert(0, f"As good within {within.margin:g} too: {name_some(equals, _MAX_NAMES)}.")
    return advice(chosen.label, _answer(chosen, as_good, within, metric, cost), *others)


def _verdict(within: MarginStatements, row: Configuration) -> str | None:
    statement = within.of(row.label)
    return statement.verdict if statement else None


def _barred_rows(table: Table, rows: Sequence[Configuration], allow: frozenset[str]) -> dict[str, str]:
    """Return label of a row -> why it is not advised although it may be good: runs of it failed or collapsed."""
    barred: dict[str, list[str]] = {}
    if FAILURES not in allow:
        for row in rows:
            ended = [run for run in table.unfinished if run.record.has_failed and run.label == row.label]
            failed = [run for run in ended if run.record.status not in NOT_IN]  # an interruption is no failure of it
            if failed:
                total = len(row.runs) + len(failed)
                barred[row.label] = [f"{len(failed)} of {total} runs failed (--allow {FAILURES} takes it all the same)"]
    if COLLAPSES not in allow:
        collapses = collapsed_runs(table)
        for row in rows:
            if row.label in collapses:
                why = f"{collapses[row.label]} (--allow {COLLAPSES} takes it all the same)"
                barred.setdefault(row.label, []).append(why)
    return {label: ", ".join(reasons) for label, reasons in barred.items()}


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
    return None if run.run_s is None else (run.run_s + (run.tuning_s or 0.0)) / 60


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
    are_imported = any("imported" in run.record.config for row in fit for run in row.runs)  # no methods of ftlab
    command = "" if are_imported else f" Run: python train.py -m method={methods} seed=0,1,2"
    return (
        f"No answer: the evidence is thin. {', '.join(thin)} ran with fewer than {MIN_SEEDS} seeds, which cannot "
        f"separate methods that are near each other.{command}"
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


def _answer(
    chosen: Configuration, as_good: Sequence[Configuration], within: MarginStatements, metric: Measure, cost: Measure
) -> str:
    """Return the answer with its evidence."""
    statement = within.of(chosen.label)
    assert statement is not None
    bound = "" if statement.high is None else f" (at most {max(0.0, statement.high):.2g} at 95 %)"
    cheapest = f", and the cheapest in {cost.label} of the rows shown to be so" if len(as_good) > 1 else ""
    return f"{chosen.label}: as good as the best in {metric.label} within {within.margin:g}{bound}{cheapest}."


def _no_answer(within: MarginStatements, metric: Measure) -> str:
    """Return that no row is shown to be as good as the best, and what would give an answer soonest."""
    sentence = f"No answer: no row is shown to be at most {within.margin:g} behind the best in {metric.label}."
    near = [statement for statement in within.statements if statement.behind < within.margin and statement.seeds_needed]
    if not near:
        return sentence
    first = min(near, key=lambda statement: statement.seeds_needed or 0)
    return f"{sentence} {first.row} would be the first: {first.what_would_decide}, if the differences stay as they are."


def _not_compared(family: Family, rows: Sequence[Configuration]) -> list[str]:
    """Return sentences on the rows that nothing is said about within the margin, as they were trained otherwise."""
    said = {statement.row for statement in family.within_margin.statements} if family.within_margin else set()
    sentences = []
    for row in rows:
        contrast = family.contrast_of(row.label)
        if contrast is not None and row.label not in said and contrast.note:
            sentences.append(f"{row.label} is not compared with {family.reference}: {contrast.note}.")
    return sentences


def _others(within: MarginStatements) -> list[str]:
    """Return sentences on the rows that are not as good, and on what would decide the open ones."""
    sentences = []
    worse = [statement.row for statement in within.statements if statement.verdict == "worse by more"]
    if worse:
        sentences.append(f"Worse than the best by more than {within.margin:g}: {name_some(worse, _MAX_NAMES)}.")
    still_open = [statement for statement in within.statements if statement.verdict == "open"]
    if still_open:
        rows = [f"{statement.row} ({statement.what_would_decide})" for statement in still_open]
        sentences.append(f"Open: {name_some(rows, _MAX_NAMES)}.")
    return sentences
