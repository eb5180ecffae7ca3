"""Two-way layout of seeds and test examples: variances of a mean or a difference, from its mean squares.

With few seeds the variance over seeds is moderated by that of the table's other rows, see `VariancePrior`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf

import numpy as np

from ftlab.comparison.stats.variance import Array, DifferenceEstimate, VarianceComponents


@dataclass(frozen=True)
class VariancePrior:
    """Variance over seeds that is borrowed from other rows, and the degrees of freedom that it counts.

    Three seeds alone give 2 degrees of freedom, with which hardly any difference can be detected. A weighted mean of
    own and borrowed variance (Smyth, 2004, "Linear Models and Empirical Bayes Methods for Assessing Differential
    Expression") rejects equal rows in up to 12 % where one of them scatters more than the others; the larger of the two
    stays within 5 % (docs/statistics_measured.md).

    Attributes:
        variance: of one seed's metric, or of one seed's difference.
        df: degrees of freedom that it counts; 0: nothing is borrowed.
    """

    variance: float = 0.0
    df: float = 0.0

    def moderate(self, variance: float, df: float, floor: float) -> tuple[float, float]:
        """Return the largest of the own variance, the borrowed one and the floor, and its degrees of freedom.

        Args:
            variance: estimate from the row or pair itself.
            df: its degrees of freedom, above 0.
            floor: variance that the interaction alone causes; the variance over seeds includes it, so a smaller
                estimate is by chance. Without a prior it only replaces a variance of 0 up to rounding, which says
                nothing: the quantile of few degrees of freedom allows for estimates that are too small.
        """
        if not self.df:
            return (variance if variance > _NEGLIGIBLE * floor else floor), df
        return max(variance, self.variance, floor), self.df + df


_NEGLIGIBLE = 1e-9  # times the floor: equal metrics of all seeds, summed up in another order
NO_PRIOR = VariancePrior()


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
    def varies(self) -> bool:
        """Whether the seeds differ on any example."""
        return bool((self.values != self.values[0]).any())

    @cached_property
    def interaction(self) -> float:
        """Return the mean square of the interaction, an estimate of its variance."""
        seeds, examples = self.shape
        residuals = self.values - self.by_seed[:, None] - self.by_example + self.values.mean()
        return float((np.square(residuals).sum(0) / (seeds - 1) * examples / (examples - 1)).mean())

    @property
    def example_variance(self) -> float:
        """Return the variance of the mean that comes from the sampling of examples, at least 0."""
        return _example_mean_variance(self.by_example, self.interaction / self.shape[0])

    def seed_variance(self, prior: VariancePrior) -> tuple[float, float]:
        """Return the variance of one seed's metric that comes from the sampling of seeds, and its degrees of freedom.

        It includes the interaction; a layout that no seed changes has none, and borrows none.
        """
        seeds, examples = self.shape
        if not self.varies:
            return 0.0, seeds - 1
        return prior.moderate(float(np.var(self.by_seed, ddof=1)), seeds - 1, self.interaction / examples)

    def estimate(self, prior: VariancePrior) -> DifferenceEstimate:
        """Return the mean over seeds and examples with the two parts of its variance."""
        seeds, examples = self.shape
        variance, df = self.seed_variance(prior)
        return DifferenceEstimate(float(self.values.mean()), variance / seeds, df, self.example_variance, examples - 1)


def paired_difference(
    differences: Array, prior: VariancePrior = NO_PRIOR
) -> tuple[DifferenceEstimate, VarianceComponents]:
    """Estimate the mean difference of two methods over paired seeds and examples.

    Args:
        differences: contributions of one method minus those of the other, (seeds, examples), at least 2 of each.
        prior: variance over seeds of the differences of other rows.
    """
    layout = TwoWayLayout(differences)
    seeds, examples = layout.shape
    estimate = layout.estimate(prior)
    components = VarianceComponents(
        difference=estimate.difference,
        seed=max(0.0, estimate.seed_variance * seeds - layout.interaction / examples),
        example=estimate.example_variance * examples,
        interaction=layout.interaction,
        num_seeds=seeds,
        num_examples=examples,
        prior_df=estimate.seed_df - (seeds - 1),
    )
    return estimate, components


def unpaired_difference(
    first: Array, second: Array, priors: tuple[VariancePrior, VariancePrior] = (NO_PRIOR, NO_PRIOR)
) -> tuple[DifferenceEstimate, VarianceComponents]:
    """Estimate the difference of two methods with the same examples and unpaired seeds (Welch, 1947, for the seeds).

    Args:
        first: contributions of one method, (seeds, examples), at least 2 of each.
        second: those of the other method, (other seeds, examples).
        priors: variance over seeds of other rows, for each of the two.
    """
    layouts = (TwoWayLayout(first), TwoWayLayout(second))
    examples = layouts[0].shape[1]
    parts = [
        (variance / layout.shape[0], df)
        for layout, prior in zip(layouts, priors, strict=True)
        for variance, df in [layout.seed_variance(prior)]
    ]
    gaps = layouts[0].by_example - layouts[1].by_example
    example_variance = _example_mean_variance(gaps, sum(layout.interaction / layout.shape[0] for layout in layouts))
    df = _welch_df(parts)
    fewest_seeds = min(layout.shape[0] for layout in layouts)
    components = VarianceComponents(
        difference=float(gaps.mean()),
        seed=sum(
            max(0.0, variance * layout.shape[0] - layout.interaction / examples)
            for (variance, _), layout in zip(parts, layouts, strict=True)
        ),
        example=example_variance * examples,
        interaction=sum(layout.interaction for layout in layouts),
        num_seeds=fewest_seeds,
        num_examples=examples,
        df_per_seed=df / (fewest_seeds - 1),
    )
    seed_variance = sum(variance for variance, _ in parts)
    estimate = DifferenceEstimate(float(gaps.mean()), seed_variance, df, example_variance, examples - 1)
    return replace(estimate, seed_parts=_parts_of_unequal_numbers(parts, [len(first), len(second)])), components


def _example_mean_variance(means: Array, noise: float) -> float:
    """Return the variance of the mean over examples that comes from the sampling of examples, at least 0.

    This is the variance of the examples beyond their interaction with the seeds. It is not left out where it is not
    significant: with few discordant examples such a pretest rejects equal methods in up to 13 %.

    Args:
        means: mean on each example over the seeds, (examples,).
        noise: variance of these means that the interaction causes.
    """
    return max(0.0, float(np.var(means, ddof=1)) - noise) / len(means)


def seeds_only_difference(
    first: Array, second: Array | None = None, priors: tuple[VariancePrior, VariancePrior] = (NO_PRIOR, NO_PRIOR)
) -> DifferenceEstimate:
    """Estimate a difference over seeds, with the test examples fixed.

    Args:
        first: differences of paired seeds, (seeds,), or one method's metrics.
        second: the other method's metrics, for unpaired seeds.
        priors: variance over seeds of other rows, for each group.
    """
    groups = [first] if second is None else [first, second]
    variances = []
    for group, prior in zip(groups, priors, strict=False):
        variance, df = prior.moderate(float(np.var(group, ddof=1)), len(group) - 1, 0.0)
        variances.append((variance / len(group), df))
    difference = float(first.mean() - (0.0 if second is None else second.mean()))
    total = sum(variance for variance, _ in variances)
    parts = _parts_of_unequal_numbers(variances, [len(group) for group in groups])
    return DifferenceEstimate(difference, total, _welch_df(variances), 0.0, inf, parts)


def examples_only_difference(differences: Array) -> tuple[DifferenceEstimate, VarianceComponents]:
    """Estimate the difference of two trained models from their differences on each example, (examples,)."""
    examples = len(differences)
    variance = float(np.var(differences, ddof=1))
    components = VarianceComponents(float(differences.mean()), 0.0, variance, 0.0, 1, examples)
    return replace(components.expected_difference(1, examples), seed_df=inf), components


def _parts_of_unequal_numbers(
    parts: Sequence[tuple[float, float]], numbers: Sequence[int]
) -> tuple[tuple[float, float], ...]:
    """Return the parts for `DifferenceEstimate.seed_parts`: those of two methods with different numbers of seeds."""
    return tuple(parts) if len(set(numbers)) > 1 else ()


def _welch_df(variances: Sequence[tuple[float, float]]) -> float:
    """Return the Welch-Satterthwaite degrees of freedom of a sum of variances, each given with its own."""
    total = sum(variance for variance, _ in variances)
    if not total:
        return float(sum(df for _, df in variances))
    return total**2 / sum(variance**2 / df for variance, df in variances)
