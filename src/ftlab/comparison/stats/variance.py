"""Difference of two methods over random seeds and test examples: its test, interval and power.

A score depends on the training seed and on the test examples, both samples of larger populations (Bouthillier et al.,
2021, "Accounting for Variance in Machine Learning Benchmarks"). Let y[s, i] be the contribution of example i to the
metric in the run with seed s. Differences follow the crossed random effects model
`y[s, i] = mean + seed[s] + example[i] + interaction[s, i]`; `stats.layout` estimates its variances.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import inf, sqrt

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
POWER = 0.8  # power that `detectable` and the power analysis require
ROUNDING_ERROR = 1e-12  # smaller differences are rounding errors
_STEPS = 400  # of the quadrature over the distribution of the estimated seed variance


@dataclass(frozen=True)
class DifferenceEstimate:
    """A difference and the two independent parts of its variance.

    Attributes:
        difference: in the metric's unit.
        seed_variance: variance from the sampling of seeds, including their interaction with the examples; 0 if seeds
            are fixed.
        seed_df: degrees of freedom of its estimate.
        example_variance: variance from the sampling of examples; 0 if examples are fixed.
        example_df: degrees of freedom of its estimate.
        seed_parts: variance and degrees of freedom of each of two unpaired methods with different numbers of seeds, the
            parts of `seed_variance`; else empty. A single number of degrees of freedom (Welch, 1947) is too large if
            the method with few seeds scatters more: 10 and 2 seeds reject in up to 15 % at a level of 5 %.
    """

    difference: float
    seed_variance: float
    seed_df: float
    example_variance: float
    example_df: float
    seed_parts: tuple[tuple[float, float], ...] = ()

    @property
    def standard_error(self) -> float:
        """Return the standard error of the difference."""
        return sqrt(self.seed_variance + self.example_variance)

    def half_width(self, alpha: float) -> float:
        """Return half the width of the interval of confidence 1 - alpha.

        The quantile is the mean of the t quantiles of the parts, weighted by their variances (Cochran & Cox, 1950,
        "Experimental Designs"). Satterthwaite's single number of degrees of freedom is too liberal here: with 3 seeds
        it rejects up to 8 % at a level of 5 %, this at most 5 % (benchmarks/levels.py).
        """
        if not self.standard_error:
            return 0.0
        seed_parts = self.seed_parts or ((self.seed_variance, self.seed_df),)
        parts = (*seed_parts, (self.example_variance, self.example_df))
        return sum(variance * t_quantile(alpha, df) for variance, df in parts) / self.standard_error

    def p(self) -> float:
        """Return the two-sided p value: the smallest alpha whose interval excludes 0."""
        return self.p_of(abs(self.difference))

    def p_of(self, distance: float) -> float:
        """Return the smallest alpha whose interval is no wider than this distance to each side, from 1e-12 to 1."""
        from scipy.optimize import brentq

        if distance < ROUNDING_ERROR:
            return 1.0
        if self.half_width(1e-12) <= distance:
            return 1e-12
        exponent = brentq(lambda power: self.half_width(10.0**power) - distance, -12, 0, xtol=1e-10)
        return float(10.0**exponent)

    def power(self, effect: float, alpha: float) -> float:
        """Return the probability of detecting a true difference of this size if these variances are the true ones.

        The test's threshold depends on the estimated variance, so the power is averaged over the distribution of that
        estimate. With one part alone this is the power of the noncentral t test, without its overflows.
        """
        from scipy.stats import norm

        if not self.standard_error:
            return float(effect != 0)
        seeds = self.seed_variance * _variance_estimates(self.seed_df) if self.seed_variance else np.zeros(_STEPS)
        examples = self.example_variance * (1.0 if self.seed_variance else _variance_estimates(self.example_df))
        seed_t, example_t = (t_quantile(alpha, df) for df in (self.seed_df, self.example_df))
        threshold = (seeds * seed_t + examples * example_t) / np.sqrt(seeds + examples)
        above = norm.sf((threshold - effect) / self.standard_error)
        below = norm.cdf((-threshold - effect) / self.standard_error)
        return float(np.mean(above + below))

    def detectable(self, alpha: float) -> float | None:
        """Return the smallest true difference that is detected with 80 % power; None without any variance."""
        from scipy.optimize import brentq

        if not self.standard_error:
            return None
        df = min(self.seed_df if self.seed_variance else inf, self.example_df)
        upper = self.standard_error * 3 * t_quantile(alpha, df)
        return float(brentq(lambda effect: self.power(effect, alpha) - POWER, 0, upper, rtol=1e-6))


@dataclass(frozen=True)
class VarianceComponents:
    """Variances per seed and per example, from which the variance with other numbers of seeds and examples follows.

    Attributes:
        difference: of the two methods, as measured.
        seed: variance of the seed effect, which is the same on every example.
        example: variance of the example effect, which is the same with every seed.
        interaction: variance of the interaction of seed and example.
        num_seeds: seeds of each method in the estimate.
        num_examples: test examples in the estimate.
        df_per_seed: degrees of freedom of the seed variance per seed beyond the first; above 1 for unpaired seeds.
        prior_df: further degrees of freedom of the seed variance, borrowed from other rows.
    """

    difference: float
    seed: float
    example: float
    interaction: float
    num_seeds: int
    num_examples: int
    df_per_seed: float = 1.0
    prior_df: float = 0.0

    def expected_difference(self, num_seeds: int, num_examples: int) -> DifferenceEstimate:
        """Return the expected estimate with this many seeds of each method and this many test examples."""
        return DifferenceEstimate(
            self.difference,
            self.seed / num_seeds + self.interaction / (num_seeds * num_examples),
            self.df_per_seed * (num_seeds - 1) + self.prior_df,
            self.example / num_examples,
            num_examples - 1,
        )


@lru_cache(maxsize=4096)  # the pairs of a table, and of a look at a race, share level and degrees of freedom
def t_quantile(alpha: float, df: float) -> float:
    """Return the two-sided quantile of the t distribution, of the normal distribution if df is infinite."""
    from scipy.special import ndtri, stdtrit

    return float(-ndtri(alpha / 2) if df == inf else -stdtrit(df, alpha / 2))


def _variance_estimates(df: float) -> Array:
    """Return estimates of a variance of 1: quantiles at the midpoints of equally likely parts of the distribution."""
    from scipy.stats import chi2

    if df == inf:
        return np.ones(_STEPS)
    return np.asarray(chi2.ppf((np.arange(_STEPS) + 0.5) / _STEPS, df) / df)
