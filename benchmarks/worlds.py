"""Simulated sweeps: answers of methods whose true accuracy is known.

A run is right on an example if `level + run[m, s] + hard[i] + taste[m, i] + waver[m, s, i] > 0`, all normal. The last
three have a variance of 1 together. Level and variance of `run` follow from the accuracy that is asked for, and from
the standard deviation of a run's accuracy, by quadrature: no formula of the comparison's is used.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

Array = NDArray[np.float64]
Answers = NDArray[np.bool_]
# correlation of two methods' answers -> shares of hard, taste and waver in the variance
SHARES = {"high": (0.85, 0.0, 0.15), "mid": (0.7, 0.08, 0.22), "low": (0.4, 0.2, 0.4)}
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(120)


@dataclass(frozen=True)
class Method:
    """A method as it truly is.

    Attributes:
        accuracy: expected accuracy of a run that does not collapse, over seeds and examples.
        sd: standard deviation of a run's expected accuracy, over seeds.
        collapse: probability that a run collapses: it falls to half its accuracy.
    """

    accuracy: float
    sd: float = 0.005
    collapse: float = 0.0

    @property
    def expected(self) -> float:
        """Expected accuracy over seeds and examples, collapses included."""
        return self.accuracy * (1 - self.collapse / 2)


@dataclass(frozen=True)
class Sweep:
    """One sweep.

    Attributes:
        hits: whether an answer is right, (methods, seeds, examples).
        expected: expected accuracy of each trained run over all examples there are, (methods, seeds).
        collapsed: whether a run has collapsed, (methods, seeds).
    """

    hits: Answers
    expected: Array
    collapsed: Answers


@cache
def latent_scale(accuracy: float, sd: float) -> tuple[float, float]:
    """Return level and standard deviation of the run effect that give a run this mean and sd of its accuracy."""

    def level(run: float) -> float:
        return float(ndtri(accuracy) * np.sqrt(1 + run**2))

    def excess(run: float) -> float:
        accuracies = ndtr(level(run) + run * _NODES)
        mean = np.average(accuracies, weights=_WEIGHTS)
        return float(np.sqrt(np.average((accuracies - mean) ** 2, weights=_WEIGHTS))) - sd

    run = brentq(excess, 0, 2, xtol=1e-10) if sd else 0.0
    return level(run), run


def draw(rng: np.random.Generator, methods: list[Method], seeds: int, examples: int, correlation: str = "mid") -> Sweep:
    """Draw one sweep: the same examples for all, runs that are independent."""
    hard_sd, taste_sd, waver_sd = np.sqrt(SHARES[correlation])
    scales = np.array([latent_scale(method.accuracy, method.sd) for method in methods])
    runs = scales[:, :1] + scales[:, 1:] * rng.normal(size=(len(methods), seeds))
    collapsed = rng.random(runs.shape) < np.array([[method.collapse] for method in methods])
    runs = np.where(collapsed, ndtri(ndtr(runs) / 2), runs)
    easy = rng.normal(0, hard_sd, examples) + rng.normal(0, taste_sd, (len(methods), 1, examples))
    waver = rng.standard_normal((len(methods), seeds, examples), dtype=np.float32)
    return Sweep(runs[:, :, None] + easy + waver_sd * waver > 0, ndtr(runs), collapsed)


def class_answers(
    rng: np.random.Generator, classes: int, examples: int, accuracy: float, *, frequent: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw labels, (examples,), and predictions of two trained models that waver alike, (2, examples).

    Args:
        rng: source of all draws.
        classes: number of classes.
        examples: number of test examples.
        accuracy: expected accuracy of both models.
        frequent: whether class frequencies are as 1/rank; otherwise all classes are equally frequent.
    """
    weights = 1 / np.arange(1, classes + 1) if frequent else np.ones(classes)
    labels = rng.choice(classes, size=examples, p=weights / weights.sum())
    hits = draw(rng, [Method(accuracy, 0.0)] * 2, 1, examples, "low").hits[:, 0]
    # an error is mostly one of two classes that the class is taken for, and sometimes any other
    confused = labels + rng.integers(1, 3, (2, examples))
    anything = labels + rng.integers(1, classes, (2, examples))
    errors = np.where(rng.random((2, examples)) < 0.7, confused, anything) % classes
    return labels, np.where(hits, labels, errors)


def macro_f1(labels: NDArray[np.int64], predictions: NDArray[np.int64]) -> float:
    """Return the mean F1 over the classes that occur among labels or predictions, in (0, 1)."""
    size = int(max(labels.max(), predictions.max())) + 1
    right = np.bincount(labels[labels == predictions], minlength=size)
    both = np.bincount(labels, minlength=size) + np.bincount(predictions, minlength=size)
    return float(np.mean(2 * right[both > 0] / both[both > 0]))
