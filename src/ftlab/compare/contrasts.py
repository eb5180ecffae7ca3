"""One row against the reference: which test fits what there is of seeds and examples, and what it says."""

from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from ftlab.compare.inference import Contrast, Interval
from ftlab.compare.predictions import Answers, Unusable, common_ids
from ftlab.compare.trained import mcnemar, odds_ratio, over_examples, randomisation
from ftlab.compare.variance import (
    NOTHING,
    Array,
    Components,
    Spread,
    of_examples_alone,
    of_seeds_alone,
    paired,
    unpaired,
)

_FIXED_EXAMPLES = "the test examples are taken as they are: of other examples the test says nothing"
_COUNTED = ("accuracy", "subset_accuracy", "exact_match")  # right or wrong on each example


@dataclass(frozen=True)
class Measured:
    """What there is of one row.

    Attributes:
        row: its label.
        metric: the metric's name.
        values: seed -> the metric.
        answers: seed -> the test examples, where they can be used.
    """

    row: str
    metric: str
    values: dict[int, float]
    answers: dict[int, Answers]


def contrast(row: Measured, base: Measured, *, alpha: float, level: float) -> tuple[Contrast, Components | None]:
    """Test a row against the reference; both have a value.

    Several seeds of each make a statement about the methods: seeds and examples both vary. Seeds are paired where most
    are common. One seed makes a statement about two trained models.

    Returns:
        The contrast, p not yet adjusted, and the variances behind it; None where examples could not be used.
    """
    common = sorted(row.values.keys() & base.values.keys())
    fewest = min(len(row.values), len(base.values))
    if len(common) >= 2 and 2 * len(common) >= fewest:
        return _methods(row, base, common, common, are_paired=True, alpha=alpha, level=level)
    if fewest >= 2:
        return _methods(row, base, sorted(row.values), sorted(base.values), are_paired=False, alpha=alpha, level=level)
    seeds = (common[0], common[0]) if common else (min(row.values), min(base.values))
    return _trained(row, base, seeds, alpha=alpha, level=level)


def untested(row: Measured, base: Measured, note: str) -> Contrast:
    """Return the difference of the means without a test, and why there is none; both have a value."""
    difference = fmean(row.values.values()) - fmean(base.values.values())
    seeds = min(len(row.values), len(base.values))
    return Contrast(row.row, base.row, difference, None, None, None, "none", None, "", seeds, 0, "methods", None, note)


def _methods(
    row: Measured,
    base: Measured,
    ours: list[int],
    theirs: list[int],
    *,
    are_paired: bool,
    alpha: float,
    level: float,
) -> tuple[Contrast, Components | None]:
    one, other = (np.array([m.values[seed] for seed in seeds]) for m, seeds in ((row, ours), (base, theirs)))
    matrices, note = _matrices(row, base, ours, theirs)
    components: Components | None = None
    if matrices is None:
        spread = of_seeds_alone(one - other) if are_paired else of_seeds_alone(one, other)
        if spread.error < NOTHING < abs(spread.difference):
            note = "the seeds do not scatter, and without predictions there is nothing to test against"
            return untested(row, base, note), None
        examples, note = 0, f"{note}; {_FIXED_EXAMPLES}" if note else _FIXED_EXAMPLES
    else:
        spread, components = paired(matrices[0] - matrices[1]) if are_paired else unpaired(*matrices)
        examples = matrices[0].shape[1]
        one, other = matrices[0].mean(1), matrices[1].mean(1)
    kind = "paired seeds" if are_paired else "unpaired seeds (Welch)"
    test = f"t test over {kind}" + (" and examples, both random" if examples else "")
    number = len(ours) if len(ours) == len(theirs) else f"{len(ours)} and {len(theirs)}"
    source = f"t over {number} {'paired ' if are_paired else ''}seeds" + (
        f" and {examples} examples" if examples else ""
    )
    size, name = _standardised(one, other, are_paired=are_paired)
    found = _contrast(row.row, base.row, spread, alpha, level, source)
    return (
        replace(
            found,
            test=test,
            effect=size,
            effect_name=name,
            seeds=min(len(ours), len(theirs)),
            examples=examples,
            note=note,
        ),
        components,
    )


def _trained(
    row: Measured, base: Measured, seeds: tuple[int, int], *, alpha: float, level: float
) -> tuple[Contrast, Components | None]:
    matrices, note = _matrices(row, base, [seeds[0]], [seeds[1]])
    several = max(len(row.values), len(base.values)) > 1
    if several:
        which = f"seed {seeds[0]} against seed {seeds[1]}" if seeds[0] != seeds[1] else f"seed {seeds[0]} alone"
        note = "; ".join(part for part in (note, f"one of the two has a single seed: {which}") if part)
    difference = row.values[seeds[0]] - base.values[seeds[1]]
    if matrices is None:
        note = note or "without the examples' predictions one seed each gives no test"
        return replace(untested(row, base, note), difference=difference, seeds=1, scope="trained models"), None
    one, other = matrices[0][0], matrices[1][0]
    spread, components = of_examples_alone(one - other)
    found = _contrast(row.row, base.row, spread, alpha, level, "")
    found = replace(
        found, interval=over_examples(one - other, level), seeds=1, examples=len(one), scope="trained models", note=note
    )
    if row.metric in _COUNTED:
        p, size = mcnemar(one, other), odds_ratio(one, other)
        return (
            replace(found, p=p, test="exact McNemar", effect=size, effect_name="odds ratio of the disagreements"),
            components,
        )
    scatter = float(np.std(one - other, ddof=1))
    return (
        replace(
            found,
            p=randomisation(one - other),
            test=f"approximate randomisation of {len(one)} examples",
            effect=spread.difference / scatter if scatter else None,
            effect_name="Cohen's d_z over examples",
        ),
        components,
    )


def _contrast(row: str, reference: str, spread: Spread, alpha: float, level: float, source: str) -> Contrast:
    half = spread.half_width(1 - level)
    return Contrast(
        row=row,
        reference=reference,
        difference=spread.difference,
        interval=Interval(spread.difference - half, spread.difference + half, level, source),
        p=spread.p(),
        adjusted=None,
        test="",
        effect=None,
        effect_name="",
        seeds=0,
        examples=0,
        scope="methods",
        detectable=spread.detectable(alpha),
    )


def _matrices(
    row: Measured, base: Measured, ours: list[int], theirs: list[int]
) -> tuple[tuple[Array, Array] | None, str]:
    """Return the contributions of the common examples, (seeds, examples) of each, and what must be said of them.

    Without them, where a run's examples cannot be used or few are common: None, and why.
    """
    wanted = [(m, seed) for m, seeds in ((row, ours), (base, theirs)) for seed in seeds]
    if any(seed not in m.answers for m, seed in wanted):
        return None, ""
    answers = [m.answers[seed] for m, seed in wanted]
    try:
        ids = common_ids(answers)
        values = np.stack([of_run.at(ids) for of_run in answers])
    except (Unusable, ValueError) as error:
        return None, str(error)
    most = max(len(of_run.ids) for of_run in answers)
    left = f"{most - len(ids)} of {most} test examples are not in all runs and were left out" if len(ids) < most else ""
    return (values[: len(ours)], values[len(ours) :]), left


def _standardised(one: Array, other: Array, *, are_paired: bool) -> tuple[float | None, str]:
    """Return Cohen's effect size of the seeds' metrics: the difference in units of their scatter."""
    if are_paired:
        gaps = one - other
        scatter = float(np.std(gaps, ddof=1))
        return float(gaps.mean()) / scatter if scatter else None, "Cohen's d_z over seeds"
    squares = sum(float(np.square(group - group.mean()).sum()) for group in (one, other))
    scatter = (squares / (len(one) + len(other) - 2)) ** 0.5
    return float(one.mean() - other.mean()) / scatter if scatter else None, "Cohen's d over seeds"
