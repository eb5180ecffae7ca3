"""Which method to take within limits, from measured rows alone; where the evidence is thin, no answer."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ftlab.compare.comparison import Configuration, Run, Table
from ftlab.compare.formats import size
from ftlab.compare.frontier import MEMORY as MEMORY_AXIS
from ftlab.compare.frontier import SIZE, TRAINABLE, Axis, headline
from ftlab.compare.inference import Family
from ftlab.compare.stats import estimate

Verdict = Literal["meets", "fails", "unsure"]
FEWEST_SEEDS = 3  # behind a row that is advised: with two, an interval over seeds says next to nothing


def _training_and_tuning(run: Run) -> float | None:
    """Return the seconds of training, those of the trials behind the run's settings included."""
    return None if run.train_s is None else run.train_s + (run.tuning_s or 0.0)


PREFERENCES: dict[str, Axis] = {
    "time": Axis("training time", False, _training_and_tuning),
    "memory": MEMORY_AXIS,
    "size": SIZE,
    "parameters": TRAINABLE,
}


@dataclass(frozen=True)
class Limits:
    """What the user has, and needs; None: no limit.

    Attributes:
        memory_bytes: most memory that training may take.
        minutes: most minutes of a whole run, set-up, evaluation and the trials behind its settings included.
        at_least: test metric -> lowest value that will do.
        at_most: test metric -> highest value that will do.
        prefer: which cost decides between rows that were not told apart, a key of `PREFERENCES`.
    """

    memory_bytes: float | None = None
    minutes: float | None = None
    at_least: tuple[tuple[str, float], ...] = ()
    at_most: tuple[tuple[str, float], ...] = ()
    prefer: str = "time"


@dataclass(frozen=True)
class Judged:
    """A row against the limits: per limit a verdict, and the evidence in words."""

    row: Configuration
    findings: tuple[tuple[Verdict, str], ...]

    @property
    def verdict(self) -> Verdict:
        """Return the worst of the verdicts; `meets` where there are no limits."""
        verdicts = {verdict for verdict, _ in self.findings}
        return "fails" if "fails" in verdicts else "unsure" if "unsure" in verdicts else "meets"


@dataclass(frozen=True)
class Advice:
    """The answer for one table.

    Attributes:
        method: label of the advised row; None: no answer.
        reasons: sentences, the answer first.
        judged: every row against the limits, the evidence.
    """

    method: str | None
    reasons: tuple[str, ...]
    judged: tuple[Judged, ...]


def advise(table: Table, limits: Limits, tested: Callable[[Sequence[Configuration], str], Family | None]) -> Advice:
    """Advise a row of a table, or none.

    Of the rows that surely meet every limit, those that were not told apart from the best one seen are equally good as
    far as is known (comparisons with the best; Hsu, 1981); the cheapest of them is advised. One whose mean lies below
    that of a row detected as worse is none of them: it was not told apart only because its seeds scatter.

    Args:
        table: measured rows.
        limits: what the answer must keep to.
        tested: tests rows against the one of this label.
    """
    judged = tuple(Judged(row, tuple(_findings(table, row, limits))) for row in table.rows)
    fit = [one.row for one in judged if one.verdict == "meets"]
    measure = headline(table)
    if not fit or measure is None:
        return Advice(None, tuple(_nothing_fits(judged, measure)), judged)
    thin = [row.label for row in fit if len(row.runs) < FEWEST_SEEDS]
    if thin and len(fit) > 1:
        return Advice(None, (_thin(thin, fit),), judged)
    if len(fit) == 1:
        (only,) = fit
        fewest = f" With {len(only.runs)} seed(s) behind it, take it as a first look." if thin else ""
        return Advice(only.label, (f"{only.label}: the only row that surely keeps to the limits.{fewest}",), judged)
    means = {row.label: found.mean for row in fit if (found := estimate([measure.read(run) for run in row.runs]))}
    if len(means) < len(fit):
        missing = ", ".join(row.label for row in fit if row.label not in means)
        return Advice(None, (f"No answer: {measure.label} is missing of {missing}.",), judged)
    best = (max if measure.higher_is_better else min)(means, key=lambda label: means[label])
    family = tested(fit, best)
    if family is None or any(contrast.adjusted is None for contrast in family.contrasts):
        untested = "" if family is None else " ".join(note for one in family.contrasts if (note := one.note))
        return Advice(None, (f"No answer: not every row could be tested against {best}. {untested}".strip(),), judged)
    behind = {one.row: one for one in family.contrasts if one.different(family.alpha)}
    level = [row for row in fit if row.label not in behind]
    equal = [row for row in level if not _below(means, row.label, behind, measure)]
    cost = PREFERENCES[limits.prefer]
    chosen = _cheapest(equal, cost)
    if chosen is None:
        return Advice(None, (f"No answer: {cost.label} is missing of a row.",), judged)
    told = _answer(chosen, best, equal, behind, family, measure, cost)
    if unclear := [row.label for row in level if row not in equal]:
        told.append(f"Too scattered to judge, with a mean below a row detected as worse: {', '.join(unclear)}.")
    return Advice(chosen.label, tuple(told), judged)


def _below(means: Mapping[str, float], label: str, behind: Collection[str], measure: Axis) -> bool:
    """Whether a row's mean is no better than that of a row detected as worse: its seeds scatter too much to judge."""
    sign = 1 if measure.higher_is_better else -1
    return any(sign * means[label] <= sign * means[other] for other in behind)


def _findings(table: Table, row: Configuration, limits: Limits) -> list[tuple[Verdict, str]]:
    found: list[tuple[Verdict, str]] = []
    if limits.memory_bytes is not None:
        found.append(_within([run.peak_memory_bytes for run in row.runs], limits.memory_bytes, "peak memory", size))
    if limits.minutes is not None:
        found.append(_within([_whole_minutes(run) for run in row.runs], limits.minutes, "whole run", _minutes))
    found += [_reaches(table, row, name, bound, above=True) for name, bound in limits.at_least]
    found += [_reaches(table, row, name, bound, above=False) for name, bound in limits.at_most]
    return found


def _whole_minutes(run: Run) -> float | None:
    cost = run.record.cost
    return None if cost is None else (cost.setup_s + cost.train_s + cost.eval_s + (run.tuning_s or 0.0)) / 60


def _minutes(value: float) -> str:
    return f"{value:.1f} min"


def _within(
    values: Sequence[float | None], limit: float, name: str, show: Callable[[float], str]
) -> tuple[Verdict, str]:
    """Judge a cost by its worst seed."""
    known = [value for value in values if value is not None]
    if not known:
        return "unsure", f"{name} was not measured"
    told = f"{name} {show(max(known))}" if len(known) == 1 else f"{name} {show(min(known))} to {show(max(known))}"
    if max(known) <= limit:
        return "meets", told
    return ("fails" if min(known) > limit else "unsure"), f"{told}, limit {show(limit)}"


def _reaches(table: Table, row: Configuration, name: str, bound: float, *, above: bool) -> tuple[Verdict, str]:
    """Judge a test metric by its interval where there is one: the mean alone proves nothing."""
    found = estimate([run.test(name) for run in row.runs])
    if found is None:
        return "unsure", f"test {name} is missing"
    family = table.family
    interval = family.intervals.get(row.label) if family and family.column.metric == name else None
    if interval is None:
        return "unsure", f"test {name} {found.mean:.3f} without an interval"
    told = f"test {name} {found.mean:.3f} [{interval.low:.3f}, {interval.high:.3f}]"
    low, high = (interval.low, interval.high) if above else (-interval.high, -interval.low)
    bound = bound if above else -bound
    return ("meets" if low >= bound else "fails" if high < bound else "unsure"), told


def _nothing_fits(judged: Sequence[Judged], measure: Axis | None) -> list[str]:
    if not judged:
        return ["No answer: no run completed."]
    if measure is None:
        return ["No answer: the runs name no metric to compare."]
    unsure = [one for one in judged if one.verdict == "unsure"]
    if not unsure:
        return ["No answer: every row breaks a limit; see the evidence."]
    labels = ", ".join(one.row.label for one in unsure)
    return [f"No answer: no row surely keeps to the limits. {labels} may: more seeds, or more test rows, would tell."]


def _thin(thin: Sequence[str], fit: Sequence[Configuration]) -> str:
    methods = ",".join(dict.fromkeys(row.method for row in fit))
    return (
        f"No answer: the evidence is thin. {', '.join(thin)} ran with fewer than {FEWEST_SEEDS} seeds, which cannot "
        f"separate methods that are near each other. Run: python train.py -m method={methods} seed=0,1,2"
    )


def _cheapest(rows: Sequence[Configuration], cost: Axis) -> Configuration | None:
    """Return the row that costs least; what never trains costs nothing. None where a cost is missing."""
    costs: list[tuple[float, Configuration]] = []
    for row in rows:
        found = estimate([cost.read(run) for run in row.runs])
        idle = all(run.record.cost is not None and not run.record.cost.optimizer_steps for run in row.runs)
        if found is None and not idle:
            return None
        costs.append((found.mean if found else 0.0, row))
    return min(costs, key=lambda pair: pair[0])[1]


def _answer(
    chosen: Configuration,
    best: str,
    equal: Sequence[Configuration],
    behind: Collection[str],
    family: Family,
    measure: Axis,
    cost: Axis,
) -> list[str]:
    if len(equal) == 1:
        first = f"{chosen.label}: better in {measure.label} than every other row within the limits."
    elif chosen.label == best:
        first = f"{chosen.label}: highest in {measure.label} and cheapest in {cost.label} of the rows not told apart."
        first = first if measure.higher_is_better else first.replace("highest", "lowest")
    else:
        p = next(one.adjusted for one in family.contrasts if one.row == chosen.label)
        first = (
            f"{chosen.label}: not distinguishable from {best}, the best in {measure.label} (p={p:.2g}), and the "
            f"cheapest in {cost.label} of the rows not told apart."
        )
    told = [first]
    if others := [row.label for row in equal if row.label != chosen.label]:
        told.append(f"Not told apart from it: {', '.join(others)}.")
    if behind:
        told.append(f"Detected as worse than {best}: {', '.join(behind)}.")
    missed = [one.detectable for one in family.contrasts if one.row in {row.label for row in equal} and one.detectable]
    if missed:
        told.append(f"A true difference below {max(missed):.2g} would have gone unseen.")
    return told
