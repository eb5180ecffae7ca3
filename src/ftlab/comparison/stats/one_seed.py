"""Tests and intervals for one seed per method, where only the test examples are random."""

from collections.abc import Sequence

import numpy as np

from ftlab.comparison.stats.inference import Interval
from ftlab.comparison.stats.metric_ratios import MetricRatios
from ftlab.comparison.stats.variance import Array, t_quantile

_RESAMPLES = 4999
_MAX_BOOTSTRAP_EXAMPLES = 20_000  # with more, the bootstrap interval of a mean is its normal interval
_MAX_BATCH_NUMBERS = 4_000_000  # in memory at once


def mcnemar(first: Array, second: Array) -> float:
    """Return the exact p value of McNemar's test (1947; recommended for one training run by Dietterich, 1998).

    Args:
        first: 1 where the first model is right, else 0, (examples,).
        second: the same of the second model.
    """
    from statsmodels.stats.contingency_tables import mcnemar as test

    only_first, only_second = discordant_counts(first, second)
    return float(test([[0, only_first], [only_second, 0]], exact=True).pvalue)


def discordant_counts(first: Array, second: Array) -> tuple[int, int]:
    """Return how many examples only the first model has right, and how many only the second."""
    return int(np.sum(first > second)), int(np.sum(second > first))


def odds_ratio(first: Array, second: Array) -> float:
    """Return the ratio of the two `discordant_counts`; if one of them is 0, half an example is added to each."""
    only_first, only_second = discordant_counts(first, second)
    half = 0.0 if only_first and only_second else 0.5
    return (only_first + half) / (only_second + half)


def randomisation_test(first: MetricRatios, second: MetricRatios, seed: int = 0) -> float:
    """Return the p value of approximate randomisation, which swaps the two models at random on each example.

    After each swap the metric of both is computed anew: with few examples per class, swapping contributions to a
    macro-F1 rejects equal models in up to 41 %. Noreen, 1989, "Computer-Intensive Methods for Testing Hypotheses"; Yeh,
    2000, "More accurate tests for the statistical significance of result differences".

    Args:
        first: one model's metric, over the same examples as the other's.
        second: the other's.
        seed: of the random swaps.
    """
    names = tuple(dict.fromkeys([*first.names, *second.names]))
    models = [model.aligned(names) for model in (first, second)]
    pairs = [(models[0].numerators, models[1].numerators), (models[0].denominators, models[1].denominators)]
    halves = [((a + b).sum(0) / 2, (a - b) / 2) for a, b in pairs]
    if not any(gaps.any() for _, gaps in halves):
        return 1.0
    examples = len(first.numerators)
    generator = np.random.default_rng(seed)
    observed = abs(float(_differences(halves, np.ones((1, examples)))[0]))
    batch, at_least = _batch(examples), 0
    for start in range(0, _RESAMPLES, batch):
        signs = generator.choice((-1.0, 1.0), (min(batch, _RESAMPLES - start), examples))
        at_least += int(np.sum(np.abs(_differences(halves, signs)) >= observed * (1 - 1e-9)))
    return (at_least + 1) / (_RESAMPLES + 1)


def _differences(halves: Sequence[tuple[Array, Array]], signs: Array) -> Array:
    """Return the difference of the two models' metrics after each swap, (swaps,).

    Args:
        halves: of numerators and denominators: half the sum of both models, (ratios,), and half their difference on
            each example, (examples, ratios).
        signs: -1 where the models are swapped, else 1, (swaps, examples).
    """
    (top, top_gaps), (bottom, bottom_gaps) = halves
    top_shift, bottom_shift = signs @ top_gaps, signs @ bottom_gaps
    values = []
    for sign in (1.0, -1.0):
        denominators = bottom + sign * bottom_shift
        counted = denominators > 0
        ratios = np.divide(top + sign * top_shift, denominators, out=np.zeros_like(denominators), where=counted)
        values.append(ratios.sum(1) / np.maximum(counted.sum(1), 1))
    return np.asarray(values[0] - values[1])


def example_interval(contributions: Array, level: float, seed: int = 0) -> Interval:
    """Return the percentile bootstrap interval of a mean over examples (Efron & Tibshirani, 1993).

    Args:
        contributions: (examples,).
        level: confidence.
        seed: of the resampling.
    """
    n = len(contributions)
    mean = float(contributions.mean())
    constant = bool((contributions == contributions[0]).all())
    if constant and mean in (0.0, 1.0):  # all right or all wrong: resamples do not vary, but other examples might
        from statsmodels.stats.proportion import proportion_confint

        low, high = proportion_confint(round(mean * n), n, alpha=1 - level, method="beta")
        return Interval(float(low), float(high), level, f"exact binomial over {n} examples")
    if constant:
        return Interval(mean, mean, level, f"all {n} examples alike")
    if n > _MAX_BOOTSTRAP_EXAMPLES:
        half = t_quantile(1 - level, n - 1) * float(np.std(contributions, ddof=1)) / n**0.5
        return Interval(mean - half, mean + half, level, f"t over {n} examples")
    from scipy.stats import bootstrap

    result = bootstrap(
        (contributions,),
        np.mean,
        vectorized=True,
        confidence_level=level,
        method="percentile",
        n_resamples=_RESAMPLES,
        batch=_batch(n),
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(float(result.low), float(result.high), level, f"bootstrap over {n} examples")


def _batch(examples: int) -> int:
    return max(1, _MAX_BATCH_NUMBERS // examples)
