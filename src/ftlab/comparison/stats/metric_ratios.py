"""Metric as a mean of ratios of sums over the examples: accuracy, a loss per token, F1, macro-F1."""

from dataclasses import dataclass

import numpy as np

from ftlab.comparison.stats.variance import Array


@dataclass(frozen=True)
class MetricRatios:
    """Ratios whose mean is the metric; those whose denominators add up to 0 do not count.

    Attributes:
        names: of the ratios, such as the classes of a macro-F1.
        numerators: of each example, (examples, ratios).
        denominators: the same.
    """

    names: tuple[str, ...]
    numerators: Array
    denominators: Array

    def contributions(self) -> Array:
        """Return the contribution of each example to the metric, (examples,); their mean is the metric.

        Raises:
            ValueError: all denominators add up to 0.
        """
        denominators = self.denominators.mean(0)
        counted = denominators > 0
        if not counted.any():
            raise ValueError("nothing there to take a share of")
        values = self.numerators.mean(0)[counted] / denominators[counted]
        excess = (self.numerators[:, counted] - values * self.denominators[:, counted]) / denominators[counted]
        return np.asarray((values + excess).mean(1))

    def aligned(self, names: tuple[str, ...]) -> "MetricRatios":
        """Return the ratios of these names, which include its own; the others are 0 on every example."""
        numerators, denominators = np.zeros((2, len(self.numerators), len(names)))
        columns = [names.index(name) for name in self.names]
        numerators[:, columns], denominators[:, columns] = self.numerators, self.denominators
        return MetricRatios(names, numerators, denominators)


def mean_of(values: Array) -> MetricRatios:
    """Return the mean of values, (examples,), as such a metric."""
    return ratio_of(values, np.ones(len(values)))


def ratio_of(numerators: Array, denominators: Array) -> MetricRatios:
    """Return sum(numerators) / sum(denominators), each (examples,), as such a metric."""
    return MetricRatios(("",), numerators[:, None], denominators[:, None])
