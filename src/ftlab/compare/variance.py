"""A difference of two methods when both seeds and test examples are samples: its variance, test, interval and power.

What a method scores depends on the seed it was trained with and on the examples it was tested on, both drawn from many
(Bouthillier et al., 2021, "Accounting for Variance in Machine Learning Benchmarks"). With y[s, i] what example i adds
to the metric in the run with seed s, differences follow the crossed random effects model
`y[s, i] = mean + seed[s] + example[i] + both[s, i]`; its variances come from the mean squares of a two-way layout.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from math import inf, sqrt

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
POWER = 0.8  # that `detectable` and plans ask for
NOTHING = 1e-12  # differences below are those of rounding
_STEPS = 400  # of the quadrature over what the seeds' variance is estimated as


@dataclass(frozen=True)
class Spread:
    """A difference and the two independent parts of its variance.

    Attributes:
        difference: in the metric's unit.
        seeds: variance that another draw of seeds brings, the interaction with the examples included; 0 where no seed
            is drawn.
        seeds_df: degrees of freedom of its estimate.
        examples: variance that another draw of examples brings; 0 where none is drawn.
        examples_df: degrees of freedom of its estimate.
    """

    difference: float
    seeds: float
    seeds_df: float
    examples: float
    examples_df: float

    @property
    def error(self) -> float:
        """Return the standard error of the difference."""
        return sqrt(self.seeds + self.examples)

    def half_width(self, alpha: float) -> float:
        """Return half the width of the interval of confidence 1 - alpha.

        The quantile is that of t with each part's degrees of freedom, weighted by the parts (Cochran & Cox, 1950,
        "Experimental Designs"). Satterthwaite's single number of degrees of freedom is too bold here: with 3 seeds it
        rejects up to 8 % at a level of 5 %, this at most 5 % (benchmarks/levels.py).
        """
        if not self.error:
            return 0.0
        first, second = (quantile(alpha, df) for df in (self.seeds_df, self.examples_df))
        return float((self.seeds * first + self.examples * second) / self.error)

    def p(self) -> float:
        """Return the two-sided p value: the smallest alpha whose interval leaves out 0."""
        from scipy.optimize import brentq

        away = abs(self.difference)
        if away < NOTHING:
            return 1.0
        if self.half_width(1e-12) <= away:
            return 1e-12
        exponent = brentq(lambda power: self.half_width(10.0**power) - away, -12, 0, xtol=1e-10)
        return float(10.0**exponent)

    def power(self, effect: float, alpha: float) -> float:
        """Return the chance to detect a true difference of this size, these variances being the true ones.

        The test's threshold depends on how large the variance is estimated; the mean is over the estimates that are to
        be expected. With one part alone this is the noncentral t's power, without its overflows.
        """
        from scipy.stats import norm

        if not self.error:
            return float(effect != 0)
        seeds = self.seeds * _estimates(self.seeds_df) if self.seeds else np.zeros(_STEPS)
        examples = self.examples * (1.0 if self.seeds else _estimates(self.examples_df))
        first, second = (quantile(alpha, df) for df in (self.seeds_df, self.examples_df))
        threshold = (seeds * first + examples * second) / np.sqrt(seeds + examples)
        found = norm.sf((threshold - effect) / self.error) + norm.cdf((-threshold - effect) / self.error)
        return float(np.mean(found))

    def detectable(self, alpha: float) -> float | None:
        """Return the smallest true difference that is detected with a chance of 80 %; None without any variance."""
        from scipy.optimize import brentq

        if not self.error:
            return None
        most = self.error * 3 * quantile(alpha, min(self.seeds_df if self.seeds else inf, self.examples_df))
        return float(brentq(lambda effect: self.power(effect, alpha) - POWER, 0, most, rtol=1e-6))


@dataclass(frozen=True)
class Components:
    """Variances of single seeds and examples, from which those of other plans follow.

    Attributes:
        difference: of the two methods, as measured.
        seed: variance of what a seed adds to the difference on every example.
        example: variance of what an example adds with every seed.
        both: variance of what is left, the interaction.
        seeds: seeds behind the estimate, of each method.
        examples: test examples behind it.
        df_per_seed: degrees of freedom of the seeds' part per seed beyond the first; above 1 where they are unpaired.
    """

    difference: float
    seed: float
    example: float
    both: float
    seeds: int
    examples: int
    df_per_seed: float = 1.0

    def spread(self, seeds: int, examples: int) -> Spread:
        """Return what is to be expected with so many seeds of each method and so many test examples."""
        return Spread(
            self.difference,
            self.seed / seeds + self.both / (seeds * examples),
            self.df_per_seed * (seeds - 1),
            self.example / examples,
            examples - 1,
        )


@dataclass(frozen=True)
class Layout:
    """The two-way layout of y[s, i], (seeds, examples).

    Attributes:
        values: contributions of each example in the run of each seed, (seeds, examples); the mean is the metric's.
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
    def scatter(self) -> Array:
        """Return the interaction's variance on each example, (examples,)."""
        seeds, examples = self.shape
        left = self.values - self.by_seed[:, None] - self.by_example + self.values.mean()
        return np.asarray(np.square(left).sum(0) / (seeds - 1) * examples / (examples - 1))

    @cached_property
    def residual(self) -> float:
        """Return the mean square of the interaction, an estimate of its variance."""
        return float(self.scatter.mean())

    @cached_property
    def of_seeds(self) -> float:
        """Return the variance of the mean over seeds that another draw of seeds brings.

        Seeds that agree to the last digit tell nothing of how far seeds scatter (few test examples, coarse metrics);
        what is left then is the scatter that the interaction alone makes.
        """
        seeds, examples = self.shape
        return float(np.var(self.by_seed, ddof=1) or self.residual / examples) / seeds


def paired(differences: Array) -> tuple[Spread, Components]:
    """Return the spread of the mean difference over paired seeds and examples.

    Args:
        differences: contributions of one method minus those of the other, (seeds, examples), at least 2 of each.
    """
    layout = Layout(differences)
    seeds, examples = layout.shape
    noise = layout.residual / (seeds * examples)
    extra = _of_examples(layout.by_example, layout.scatter / seeds)
    difference = float(layout.values.mean())
    components = Components(
        difference, max(0.0, (layout.of_seeds - noise) * seeds), extra * examples, layout.residual, seeds, examples
    )
    return Spread(difference, layout.of_seeds, seeds - 1, extra, examples - 1), components


def unpaired(one: Array, other: Array) -> tuple[Spread, Components]:
    """Return the spread of the difference of two methods that share examples and no seeds (Welch, 1947, for the seeds).

    Args:
        one: contributions, (seeds, examples), at least 2 of each.
        other: those of the other method, (other seeds, examples).
    """
    layouts = (Layout(one), Layout(other))
    examples = layouts[0].shape[1]
    seeds = sum(layout.of_seeds for layout in layouts)
    gaps = layouts[0].by_example - layouts[1].by_example
    extra = _of_examples(gaps, sum((layout.scatter / layout.shape[0] for layout in layouts), np.zeros(examples)))
    df = _welch([(layout.of_seeds, layout.shape[0] - 1) for layout in layouts])
    least = min(layout.shape[0] for layout in layouts)
    components = Components(
        difference=float(gaps.mean()),
        seed=sum(max(0.0, la.of_seeds * la.shape[0] - la.residual / examples) for la in layouts),
        example=extra * examples,
        both=sum(layout.residual for layout in layouts),
        seeds=least,
        examples=examples,
        df_per_seed=df / (least - 1),
    )
    return Spread(float(gaps.mean()), seeds, df, extra, examples - 1), components


def _of_examples(means: Array, noise: Array) -> float:
    """Return the variance of the mean over examples that another draw of examples brings.

    What examples differ by beyond their interaction with the seeds, and 0 where that is not above 0 at a level of 5 %
    (one-sided, by its own scatter over the examples, which differ much in it). An estimate that is noise around 0 would
    make the test timid where there are few seeds: it rejects where the seeds' variance is estimated near 0. A part
    that is not detected is small beside the seeds' part, which holds the interaction.

    Args:
        means: mean difference on each example, (examples,).
        noise: variance of each of them over seeds, (examples,).
    """
    n = len(means)
    excess = np.square(means - means.mean()) * n / (n - 1) - noise
    found = float(excess.mean())
    doubt = float(np.std(excess, ddof=1)) / sqrt(n)
    return found / n if found > quantile(0.1, n - 1) * doubt else 0.0


def of_seeds_alone(one: Array, other: Array | None = None) -> Spread:
    """Return the spread over seeds where the test examples are taken as they are.

    Args:
        one: differences of paired seeds, (seeds,), or one method's metrics.
        other: the other method's metrics, where seeds are not paired.
    """
    groups = [one] if other is None else [one, other]
    parts = [(float(np.var(group, ddof=1)) / len(group), len(group) - 1) for group in groups]
    difference = float(one.mean() - (0.0 if other is None else other.mean()))
    return Spread(difference, sum(part for part, _ in parts), _welch(parts), 0.0, inf)


def of_examples_alone(differences: Array) -> tuple[Spread, Components]:
    """Return the spread over examples of two trained models' difference, (examples,)."""
    examples = len(differences)
    variance = float(np.var(differences, ddof=1))
    components = Components(float(differences.mean()), 0.0, variance, 0.0, 1, examples)
    return replace(components.spread(1, examples), seeds_df=inf), components


def _welch(parts: list[tuple[float, int]]) -> float:
    """Return Welch's degrees of freedom of a sum of variances, each with its own."""
    total = sum(part for part, _ in parts)
    if not total:
        return float(sum(df for _, df in parts))
    return total**2 / sum(part**2 / df for part, df in parts)


def quantile(alpha: float, df: float) -> float:
    """Return the two-sided quantile of t, of the normal distribution where df is infinite."""
    from scipy.special import ndtri, stdtrit

    return float(-ndtri(alpha / 2) if df == inf else -stdtrit(df, alpha / 2))


def _estimates(df: float) -> Array:
    """Return what a variance of 1 is estimated as: midpoints of equally likely parts of the distribution."""
    from scipy.stats import chi2

    if df == inf:
        return np.ones(_STEPS)
    return np.asarray(chi2.ppf((np.arange(_STEPS) + 0.5) / _STEPS, df) / df)
