"""Two trained models on the same test examples, and one model's metric: what the examples alone can say."""

import numpy as np

from ftlab.compare.inference import Interval
from ftlab.compare.variance import Array, quantile

_RESAMPLES = 4999
_MOST = 20_000  # examples from which on a mean's bootstrap is its normal interval
_DRAWS_AT_ONCE = 4_000_000  # numbers held in memory


def mcnemar(one: Array, other: Array) -> float:
    """Return the exact p value of McNemar's test (1947; recommended for one training run by Dietterich, 1998).

    Args:
        one: 1 where this model is right, else 0, (examples,).
        other: the same of the other model.
    """
    from statsmodels.stats.contingency_tables import mcnemar as test

    only_one, only_other = discordant(one, other)
    return float(test([[0, only_one], [only_other, 0]], exact=True).pvalue)


def discordant(one: Array, other: Array) -> tuple[int, int]:
    """Return how many examples only one of the two models has right."""
    return int(np.sum(one > other)), int(np.sum(other > one))


def odds_ratio(one: Array, other: Array) -> float:
    """Return the ratio of the two counts of `discordant`, half an example added to each where one of them is 0."""
    first, second = discordant(one, other)
    half = 0.0 if first and second else 0.5
    return (first + half) / (second + half)


def randomisation(differences: Array, seed: int = 0) -> float:
    """Return the p value of approximate randomisation: which model an answer is from is exchanged at random.

    Noreen, 1989, "Computer-Intensive Methods for Testing Hypotheses"; for language processing see Dror et al., 2018.

    Args:
        differences: contributions of one model minus those of the other, (examples,).
        seed: of the random exchanges.
    """
    from scipy.stats import permutation_test

    if not differences.any():
        return 1.0
    found = permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=_RESAMPLES,
        batch=_batch(len(differences)),
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)


def over_examples(contributions: Array, level: float, seed: int = 0) -> Interval:
    """Return the interval of a mean over examples: by the bootstrap (Efron & Tibshirani, 1993), percentiles.

    Args:
        contributions: (examples,).
        level: confidence.
        seed: of the resampling.
    """
    n = len(contributions)
    mean = float(contributions.mean())
    same = bool((contributions == contributions[0]).all())
    if same and mean in (0.0, 1.0):  # all right or all wrong: no resample differs, yet the next example may
        from statsmodels.stats.proportion import proportion_confint

        low, high = proportion_confint(round(mean * n), n, alpha=1 - level, method="beta")
        return Interval(float(low), float(high), level, f"exact binomial over {n} examples")
    if same:
        return Interval(mean, mean, level, f"all {n} examples alike")
    if n > _MOST:
        half = quantile(1 - level, n - 1) * float(np.std(contributions, ddof=1)) / n**0.5
        return Interval(mean - half, mean + half, level, f"t over {n} examples")
    from scipy.stats import bootstrap

    found = bootstrap(
        (contributions,),
        np.mean,
        vectorized=True,
        confidence_level=level,
        method="percentile",
        n_resamples=_RESAMPLES,
        batch=_batch(n),
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(float(found.low), float(found.high), level, f"bootstrap over {n} examples")


def _batch(examples: int) -> int:
    return max(1, _DRAWS_AT_ONCE // examples)
