"""Contrast of a row with the reference, by the test that fits the available seeds and examples."""

from dataclasses import replace
from statistics import fmean

import numpy as np

from ftlab.comparison.pairs import FIXED_EXAMPLES, Pair, RowMeasurements, pair_rows
from ftlab.comparison.stats.inference import Contrast, Interval
from ftlab.comparison.stats.metric_range import largest_difference
from ftlab.comparison.stats.one_seed import example_interval, mcnemar, odds_ratio, randomisation_test
from ftlab.comparison.stats.pooled_variance import PooledVariances
from ftlab.comparison.stats.variance import Array, DifferenceEstimate, VarianceComponents

_BINARY_METRICS = ("accuracy", "subset_accuracy", "exact_match")  # right or wrong on each example


def contrast_with_reference(
    row: RowMeasurements, reference: RowMeasurements, pool: PooledVariances, *, alpha: float, level: float
) -> tuple[Contrast, VarianceComponents | None]:
    """Test a row against the reference; both have a value.

    With several seeds of each, the test is about the methods: seeds and examples are both random. With one seed, the
    test is about two trained models. If no seed changes either row, only the examples are random.

    Args:
        row: the row.
        reference: the row that it is tested against.
        pool: variances over seeds of all rows of the table.
        alpha: level at which the smallest detectable difference is given.
        level: confidence of the interval.

    Returns:
        The contrast, p not yet adjusted, and its variance components; None if the examples could not be used.
    """
    pair = pair_rows(row, reference)
    estimated = pair.estimate(pool)
    if estimated is None:
        return _untested_pair(pair), None
    estimate, components = estimated
    if pair.contributions is None:
        pair = replace(pair, note=f"{pair.note}; {FIXED_EXAMPLES}" if pair.note else FIXED_EXAMPLES)
    if pair.seeds_matter:
        return _contrast_over_seeds(pair, estimate, alpha=alpha, level=level), components
    return _contrast_over_examples(pair, estimate, alpha=alpha, level=level), components


def p_value_of_pair(first: RowMeasurements, second: RowMeasurements, pool: PooledVariances) -> float | None:
    """Return the p value of the contrast of two rows with a value; None if it cannot be tested."""
    pair = pair_rows(first, second)
    estimated = pair.estimate(pool)
    if estimated is None:
        return None
    return estimated[0].p() if pair.seeds_matter else _test_over_examples(pair)[0]


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


def _untested_pair(pair: Pair) -> Contrast:
    contrast = untested_contrast(pair.first, pair.second, "; ".join(filter(None, (pair.obstacle, _seed_note(pair)))))
    first, second = pair.metrics
    return replace(contrast, difference=float(first.mean() - second.mean()), seeds=pair.num_seeds, scope=pair.scope)


def _seed_note(pair: Pair) -> str:
    """Return a remark if one of the rows has several seeds and the other a single one; else an empty text."""
    if pair.num_seeds > 1 or max(len(pair.first.values), len(pair.second.values)) == 1:
        return ""
    (first,), (second,) = pair.first_seeds, pair.second_seeds
    which = f"seed {first} against seed {second}" if first != second else f"seed {first} alone"
    return f"one of the two has a single seed: {which}"


def _contrast_over_seeds(pair: Pair, estimate: DifferenceEstimate, *, alpha: float, level: float) -> Contrast:
    """Return the contrast with seeds, and examples if they are known, as random."""
    first, second = pair.metrics
    kind = "paired seeds" if pair.are_paired else "unpaired seeds (Welch)"
    numbers = list(dict.fromkeys((len(first), len(second))))
    source = f"t over {' and '.join(map(str, numbers))} {'paired ' if pair.are_paired else ''}seeds"
    source += f" and {pair.num_examples} examples" if pair.num_examples else ""
    half = estimate.half_width(1 - level)
    effect, effect_name = _cohens_d(first, second, are_paired=pair.are_paired)
    return Contrast(
        row=pair.first.row,
        reference=pair.second.row,
        difference=estimate.difference,
        interval=_within_range(pair, Interval(estimate.difference - half, estimate.difference + half, level, source)),
        p=estimate.p(),
        adjusted=None,
        test=f"t test over {kind}" + (" and examples, both random" if pair.num_examples else ""),
        effect=effect,
        effect_name=effect_name,
        seeds=pair.num_seeds,
        examples=pair.num_examples,
        scope="methods",
        detectable=estimate.detectable(alpha),
        note=pair.note,
    )


def _contrast_over_examples(pair: Pair, estimate: DifferenceEstimate, *, alpha: float, level: float) -> Contrast:
    """Return the contrast with examples alone as random: of two trained models, or of methods that no seed changes."""
    assert pair.contributions is not None
    first, second = pair.contributions[0][0], pair.contributions[1][0]
    p, test = _test_over_examples(pair)
    if pair.first.metric in _BINARY_METRICS:
        effect: float | None = odds_ratio(first, second)
        effect_name = "odds ratio of the disagreements"
    else:
        sd = float(np.std(first - second, ddof=1))
        effect, effect_name = estimate.difference / sd if sd else None, "Cohen's d_z over examples"
    difference = float(pair.metrics[0][0] - pair.metrics[1][0])
    return Contrast(
        row=pair.first.row,
        reference=pair.second.row,
        difference=difference,
        interval=_within_range(pair, example_interval(first - second, level)),
        p=p,
        adjusted=None,
        test=test,
        effect=effect,
        effect_name=effect_name,
        seeds=pair.num_seeds,
        examples=pair.num_examples,
        scope=pair.scope,
        detectable=estimate.detectable(alpha),
        note="; ".join(filter(None, (pair.note, _seed_note(pair)))),
    )


def _test_over_examples(pair: Pair) -> tuple[float, str]:
    """Return the p value of two trained models on the examples that they share, and the name of the test."""
    assert pair.contributions is not None
    if pair.first.metric in _BINARY_METRICS:
        return mcnemar(pair.contributions[0][0], pair.contributions[1][0]), "exact McNemar"
    runs = (pair.first.predictions[pair.first_seeds[0]], pair.second.predictions[pair.second_seeds[0]])
    first, second = (run.ratios_of(pair.example_ids) for run in runs)
    p = randomisation_test(first, second)
    return p, f"approximate randomisation of {pair.num_examples} examples"


def _within_range(pair: Pair, interval: Interval) -> Interval:
    """Return an interval of a difference cut to the values that differences of this metric can have."""
    largest = largest_difference(pair.first.metric)
    return replace(interval, low=max(interval.low, -largest), high=min(interval.high, largest))


def _cohens_d(first: Array, second: Array, *, are_paired: bool) -> tuple[float | None, str]:
    """Return Cohen's effect size of the seeds' metrics, the difference in units of their standard deviation."""
    if are_paired:
        gaps = first - second
        sd = float(np.std(gaps, ddof=1))
        return float(gaps.mean()) / sd if sd else None, "Cohen's d_z over seeds"
    squares = sum(float(np.square(group - group.mean()).sum()) for group in (first, second))
    sd = (squares / (len(first) + len(second) - 2)) ** 0.5
    return float(first.mean() - second.mean()) / sd if sd else None, "Cohen's d over seeds"
