"""Difference of two methods over random seeds and test examples: its variance, test, interval and power.

A score depends on the training seed and on the test examples, both samples of larger populations (Bouthillier et al.,
2021, "Accounting for Variance in Machine Learning Benchmarks"). Let y[s, i] be the contribution of example i to the
metric in the run with seed s. Differences follow the crossed random effects model
`y[s, i] = mean + seed[s] + example[i] + interaction[s, i]`; its variances are estimated from the mean squares of a
two-way layout.
"""

from dataclasses import dataclass, replace
from functools import cached_property
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
    """

    difference: float
    seed_variance: float
    seed_df: float
    example_variance: float
    example_df: float

    @property
    def standard_error(self) -> float:
        """Return the standard error of the difference."""
        return sqrt(self.seed_variance + self.example_variance)

    def half_width(self, alpha: float) -> float:
        """Return half the width of the interval of confidence 1 - alpha.

        The quantile is the mean of the t quantiles of both parts, weighted by their variances (Cochran & Cox, 1950,
        "Experimental Designs"). Satterthwaite's single number of degrees of freedom is too liberal here: with 3 seeds
        it rejects up to 8 % at a level of 5 %, this at most 5 % (benchmarks/levels.py).
        """
        if not self.standard_error:
            return 0.0
        seed_t, example_t = (t_quantile(alpha, df) for df in (self.seed_df, self.example_df))
        return float((self.seed_variance * seed_t + self.example_variance * example_t) / self.standard_error)

    def p(self) -> float:
        """Return the two-sided p value: the smallest alpha whose interval excludes 0."""
        from scipy.optimize import brentq

        distance = abs(self.difference)
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
    """

    difference: float
    seed: float
    example: float
    interaction: float
    num_seeds: int
    num_examples: int
    df_per_seed: float = 1.0

    def expected_difference(self, num_seeds: int, num_examples: int) -> DifferenceEstimate:
        """Return the expected estimate with this many seeds of each method and this many test examples."""
        return DifferenceEstimate(
            self.difference,
            self.seed / num_seeds + self.interaction / (num_seeds * num_examples),
            self.df_per_seed * (num_seeds - 1),
            self.example / num_examples,
            num_examples - 1,
        )


@dataclass(frozen=True)
class TwoWayLayout:
    """Two-way layout of y[s, i], (seeds, examples).

    Attributes:
        values: contribution of each example in the run of each seed, (seeds, examples); their mean is the metric.
    """

    values: Array

    @cached_property
    def by_seed(self) -> Array:
        """Return the metric of each seed, (seeds,)."""
        return np.asarray(self.values.mean(1))

    @cached_property
    def by_example(self) -> Array:
        """Return the mean of each example over the seeds, (examples,)."""
        return np.asarray(self.values.mean(0))

    @property
    def shape(self) -> tuple[int, int]:
        """Return the numbers of seeds and of examples."""
        seeds, examples = self.values.shape
        return seeds, examples

    @cached_property
    def interaction_by_example(self) -> Array:
        """Return the variance of the interaction on each example, (examples,)."""
        seeds, examples = self.shape
        residuals = self.values - self.by_seed[:, None] - self.by_example + self.values.mean()
        return np.asarray(np.square(residuals).sum(0) / (seeds - 1) * examples / (examples - 1))

    @cached_property
    def interaction(self) -> float:
        """Return the mean square of the interaction, an estimate of its variance."""
        return float(self.interaction_by_example.mean())

    @cached_property
    def seed_mean_variance(self) -> float:
        """Return the variance of the mean over seeds that comes from the sampling of seeds.

        If all seeds have exactly the same metric (few test examples, coarse metrics), their variance of 0 is no useful
        estimate; the variance that the interaction alone causes is used then.
        """
        seeds, examples = self.shape
        return float(np.var(self.by_seed, ddof=1) or self.interaction / examples) / seeds


def paired_difference(differences: Array) -> tuple[DifferenceEstimate, VarianceComponents]:
    """Estimate the mean difference of two methods over paired seeds and examples.

    Args:
        differences: contributions of one method minus those of the other, (seeds, examples), at least 2 of each.
    """
    layout = TwoWayLayout(differences)
    seeds, examples = layout.shape
    noise = layout.interaction / (seeds * examples)
    seed_variance = layout.seed_mean_variance
    example_variance = _example_mean_variance(layout.by_example, layout.interaction_by_example / seeds)
    difference = float(layout.values.mean())
    components = VarianceComponents(
        difference=difference,
        seed=max(0.0, (seed_variance - noise) * seeds),
        example=example_variance * examples,
        interaction=layout.interaction,
        num_seeds=seeds,
        num_examples=examples,
    )
    return DifferenceEstimate(difference, seed_variance, seeds - 1, example_variance, examples - 1), components


def unpaired_difference(first: Array, second: Array) -> tuple[DifferenceEstimate, VarianceComponents]:
    """Estimate the difference of two methods with the same examples and unpaired seeds (Welch, 1947, for the seeds).

    Args:
        first: contributions of one method, (seeds, examples), at least 2 of each.
        second: those of the other method, (other seeds, examples).
    """
    layouts = (TwoWayLayout(first), TwoWayLayout(second))
    examples = layouts[0].shape[1]
    seed_variance = sum(layout.seed_mean_variance for layout in layouts)
    gaps = layouts[0].by_example - layouts[1].by_example
    noise = sum((layout.interaction_by_example / layout.shape[0] for layout in layouts), np.zeros(examples))
    example_variance = _example_mean_variance(gaps, noise)
    df = _welch_df([(layout.seed_mean_variance, layout.shape[0] - 1) for layout in layouts])
    fewest_seeds = min(layout.shape[0] for layout in layouts)
    components = VarianceComponents(
        difference=float(gaps.mean()),
        seed=sum(
            max(0.0, layout.seed_mean_variance * layout.shape[0] - layout.interaction / examples) for layout in layouts
        ),
        example=example_variance * examples,
        interaction=sum(layout.interaction for layout in layouts),
        num_seeds=fewest_seeds,
        num_examples=examples,
        df_per_seed=df / (fewest_seeds - 1),
    )
    return DifferenceEstimate(float(gaps.mean()), seed_variance, df, example_variance, examples - 1), components


def _example_mean_variance(means: Array, noise: Array) -> float:
    """Return the variance of the mean over examples that comes from the sampling of examples.

    This is the variance of the examples beyond their interaction with the seeds, or 0 if it is not significantly above
    0 at a level of 5 % (one-sided; the standard error is estimated over the examples, which differ much in it). An
    estimate that is noise around 0 would make the test conservative with few seeds, where the test rejects because the
    seed variance is estimated near 0. A variance that is not significant is small beside the seed variance, which
    includes the interaction.

    Args:
        means: mean difference on each example, (examples,).
        noise: variance of each of them over seeds, (examples,).
    """
    n = len(means)
    excess = np.square(means - means.mean()) * n / (n - 1) - noise
    variance = float(excess.mean())
    standard_error = float(np.std(excess, ddof=1)) / sqrt(n)
    return variance / n if variance > t_quantile(0.1, n - 1) * standard_error else 0.0


def seeds_only_difference(first: Array, second: Array | None = None) -> DifferenceEstimate:
    """Estimate a difference over seeds, with the test examples fixed.

    Args:
        first: differences of paired seeds, (seeds,), or one method's metrics.
        second: the other method's metrics, for unpaired seeds.
    """
    groups = [first] if second is None else [first, second]
    variances = [(float(np.var(group, ddof=1)) / len(group), len(group) - 1) for group in groups]
    difference = float(first.mean() - (0.0 if second is None else second.mean()))
    total = sum(variance for variance, _ in variances)
    return DifferenceEstimate(difference, total, _welch_df(variances), 0.0, inf)


def examples_only_difference(differences: Array) -> tuple[DifferenceEstimate, VarianceComponents]:
    """Estimate the difference of two trained models from their differences on each example, (examples,)."""
    examples = len(differences)
    variance = float(np.var(differences, ddof=1))
    components = VarianceComponents(float(differences.mean()), 0.0, variance, 0.0, 1, examples)
    return replace(components.expected_difference(1, examples), seed_df=inf), components


def _welch_df(variances: list[tuple[float, int]]) -> float:
    """Return the Welch-Satterthwaite degrees of freedom of a sum of variances, each given with its own."""
    total = sum(variance for variance, _ in variances)
    if not total:
        return float(sum(df for _, df in variances))
    return total**2 / sum(variance**2 / df for variance, df in variances)


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
