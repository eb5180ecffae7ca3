"""Contrast of a row with the reference, by the test that fits the available seeds and examples."""

from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from ftlab.comparison.predictions import ExamplePredictions, UnusablePredictions, common_ids
from ftlab.comparison.stats.inference import Contrast, Interval
from ftlab.comparison.stats.one_seed import example_interval, mcnemar, odds_ratio, randomisation_test
from ftlab.comparison.stats.variance import (
    ROUNDING_ERROR,
    Array,
    DifferenceEstimate,
    VarianceComponents,
    examples_only_difference,
    paired_difference,
    seeds_only_difference,
    unpaired_difference,
)
from ftlab.core.errors import reason

_FIXED_EXAMPLES = "the test examples are taken as they are: of other examples the test says nothing"
_BINARY_METRICS = ("accuracy", "subset_accuracy", "exact_match")  # right or wrong on each example


@dataclass(frozen=True)
class RowMeasurements:
    """Values of one metric for one row of a table.

    Attributes:
        row: label of the row.
        metric: name of the metric.
        values: seed -> the metric.
        predictions: seed -> predictions on the test examples; only seeds whose predictions can be used.
    """

    row: str
    metric: str
    values: dict[int, float]
    predictions: dict[int, ExamplePredictions]


def contrast_with_reference(
    row: RowMeasurements, reference: RowMeasurements, *, alpha: float, level: float
) -> tuple[Contrast, VarianceComponents | None]:
    """Test a row against the reference; both have a value.

    With several seeds of each, the test is about the methods: seeds and examples are both random. Seeds are paired if
    at least half of the smaller number are common. With one seed, the test is about two trained models.

    Returns:
        The contrast, p not yet adjusted, and its variance components; None if the examples could not be used.
    """
    common = sorted(row.values.keys() & reference.values.keys())
    fewest = min(len(row.values), len(reference.values))
    if len(common) >= 2 and 2 * len(common) >= fewest:
        return _contrast_methods(row, reference, common, common, are_paired=True, alpha=alpha, level=level)
    if fewest >= 2:
        row_seeds, reference_seeds = sorted(row.values), sorted(reference.values)
        return _contrast_methods(row, reference, row_seeds, reference_seeds, are_paired=False, alpha=alpha, level=level)
    seeds = (common[0], common[0]) if common else (min(row.values), min(reference.values))
    return _contrast_trained_models(row, reference, seeds, alpha=alpha, level=level)


def untested_contrast(row: RowMeasurements, reference: RowMeasurements, note: str) -> Contrast:
    """Return the difference of the means without a test, `note` being the reason; both have a value."""
    difference = fmean(row.values.values()) - fmean(reference.values.values())
    seeds = min(len(row.values), len(reference.values))
    return Contrast(
        row=row.row,
        reference=reference.row,
        difference=difference,
        interval=None,
        p=None,
        adjusted=None,
        test="none",
        effect=None,
        effect_name="",
        seeds=seeds,
        examples=0,
        scope="methods",
        detectable=None,
        note=note,
    )


def _contrast_methods(
    row: RowMeasurements,
    reference: RowMeasurements,
    row_seeds: list[int],
    reference_seeds: list[int],
    *,
    are_paired: bool,
    alpha: float,
    level: float,
) -> tuple[Contrast, VarianceComponents | None]:
    first = np.array([row.values[seed] for seed in row_seeds])
    second = np.array([reference.values[seed] for seed in reference_seeds])
    matrices, note = _contribution_matrices(row, reference, row_seeds, reference_seeds)
    components: VarianceComponents | None = None
    if matrices is None:
        estimate = seeds_only_difference(first - second) if are_paired else seeds_only_difference(first, second)
        if estimate.standard_error < ROUNDING_ERROR < abs(estimate.difference):
            note = "the seeds do not scatter, and without predictions there is nothing to test against"
            return untested_contrast(row, reference, note), None
        examples, note = 0, f"{note}; {_FIXED_EXAMPLES}" if note else _FIXED_EXAMPLES
    else:
        estimate, components = (
            paired_difference(matrices[0] - matrices[1]) if are_paired else unpaired_difference(*matrices)
        )
        examples = matrices[0].shape[1]
        first, second = matrices[0].mean(1), matrices[1].mean(1)
    kind = "paired seeds" if are_paired else "unpaired seeds (Welch)"
    test = f"t test over {kind}" + (" and examples, both random" if examples else "")
    row_number, reference_number = len(row_seeds), len(reference_seeds)
    number = row_number if row_number == reference_number else f"{row_number} and {reference_number}"
    source = f"t over {number} {'paired ' if are_paired else ''}seeds"
    source += f" and {examples} examples" if examples else ""
    effect, effect_name = _cohens_d(first, second, are_paired=are_paired)
    contrast = _unnamed_contrast(row.row, reference.row, estimate, alpha, level, source)
    return (
        replace(
            contrast,
            test=test,
            effect=effect,
            effect_name=effect_name,
            seeds=min(row_number, reference_number),
            examples=examples,
            note=note,
        ),
        components,
    )


def _contrast_trained_models(
    row: RowMeasurements, reference: RowMeasurements, seeds: tuple[int, int], *, alpha: float, level: float
) -> tuple[Contrast, VarianceComponents | None]:
    matrices, note = _contribution_matrices(row, reference, [seeds[0]], [seeds[1]])
    if max(len(row.values), len(reference.values)) > 1:
        which = f"seed {seeds[0]} against seed {seeds[1]}" if seeds[0] != seeds[1] else f"seed {seeds[0]} alone"
        note = "; ".join(part for part in (note, f"one of the two has a single seed: {which}") if part)
    difference = row.values[seeds[0]] - reference.values[seeds[1]]
    if matrices is None:
        note = note or "without the examples' predictions one seed each gives no test"
        contrast = untested_contrast(row, reference, note)
        return replace(contrast, difference=difference, seeds=1, scope="trained models"), None
    first, second = matrices[0][0], matrices[1][0]
    estimate, components = examples_only_difference(first - second)
    contrast = replace(
        _unnamed_contrast(row.row, reference.row, estimate, alpha, level, ""),
        interval=example_interval(first - second, level),
        seeds=1,
        examples=len(first),
        scope="trained models",
        note=note,
    )
    if row.metric in _BINARY_METRICS:
        p, effect = mcnemar(first, second), odds_ratio(first, second)
        return (
            replace(contrast, p=p, test="exact McNemar", effect=effect, effect_name="odds ratio of the disagreements"),
            components,
        )
    sd = float(np.std(first - second, ddof=1))
    return (
        replace(
            contrast,
            p=randomisation_test(first - second),
            test=f"approximate randomisation of {len(first)} examples",
            effect=estimate.difference / sd if sd else None,
            effect_name="Cohen's d_z over examples",
        ),
        components,
    )


def _unnamed_contrast(
    row: str, reference: str, estimate: DifferenceEstimate, alpha: float, level: float, source: str
) -> Contrast:
    """Return the contrast with interval and p of the estimate; name of the test and effect size are still empty."""
    half = estimate.half_width(1 - level)
    return Contrast(
        row=row,
        reference=reference,
        difference=estimate.difference,
        interval=Interval(estimate.difference - half, estimate.difference + half, level, source),
        p=estimate.p(),
        adjusted=None,
        test="",
        effect=None,
        effect_name="",
        seeds=0,
        examples=0,
        scope="methods",
        detectable=estimate.detectable(alpha),
    )


def _contribution_matrices(
    row: RowMeasurements, reference: RowMeasurements, row_seeds: list[int], reference_seeds: list[int]
) -> tuple[tuple[Array, Array] | None, str]:
    """Return the contributions of the common examples, (seeds, examples) of each, and a note; it may be empty.

    If predictions of a run cannot be used, or too few examples are common: None, and the reason.
    """
    wanted = [(m, seed) for m, seeds in ((row, row_seeds), (reference, reference_seeds)) for seed in seeds]
    if any(seed not in m.predictions for m, seed in wanted):
        return None, ""
    runs = [m.predictions[seed] for m, seed in wanted]
    try:
        ids = common_ids(runs)
        values = np.stack([run.contributions_of(ids) for run in runs])
    except (UnusablePredictions, ValueError) as error:
        return None, reason(error)
    total = max(len(run.ids) for run in runs)
    dropped = total - len(ids)
    note = f"{dropped} of {total} test examples are not in all runs and were left out" if dropped else ""
    return (values[: len(row_seeds)], values[len(row_seeds) :]), note


def _cohens_d(first: Array, second: Array, *, are_paired: bool) -> tuple[float | None, str]:
    """Return Cohen's effect size of the seeds' metrics, the difference in units of their standard deviation."""
    if are_paired:
        gaps = first - second
        sd = float(np.std(gaps, ddof=1))
        return float(gaps.mean()) / sd if sd else None, "Cohen's d_z over seeds"
    squares = sum(float(np.square(group - group.mean()).sum()) for group in (first, second))
    sd = (squares / (len(first) + len(second) - 2)) ** 0.5
    return float(first.mean() - second.mean()) / sd if sd else None, "Cohen's d over seeds"
