from itertools import product

import numpy as np
import pyarrow as pa
import pytest

from ftlab.comparison.stats.contributions import metric_ratios
from ftlab.comparison.stats.metric_ratios import MetricRatios, mean_of
from ftlab.comparison.stats.one_seed import example_interval, mcnemar, odds_ratio, randomisation_test
from ftlab.comparison.stats.variance import Array
from tests.fixtures.statements import states


def hits(right: int, only_one: int, only_other: int) -> tuple[Array, Array]:
    one = np.r_[np.ones(right), np.ones(only_one), np.zeros(only_other)]
    return one, np.r_[np.ones(right), np.zeros(only_one), np.ones(only_other)]


def test_mcnemar_is_the_sign_test_of_the_disagreements() -> None:
    assert mcnemar(*hits(90, 1, 8)) == pytest.approx(2 * (1 + 9) / 2**9)
    assert mcnemar(*hits(90, 0, 0)) == 1
    assert odds_ratio(*hits(90, 2, 8)) == pytest.approx(0.25)
    assert odds_ratio(*hits(90, 0, 8)) == pytest.approx(0.5 / 8.5)


def test_randomisation_counts_exchanges() -> None:
    gaps = np.array([0.5, 0.3, -0.1, 0.9, 0.2, 0.4, 0.1, 0.8])
    signs = np.array(list(product((1, -1), repeat=len(gaps))))
    exact = np.mean(np.abs(signs @ gaps) >= abs(gaps.sum()) - 1e-12)
    assert randomisation_test(mean_of(gaps), mean_of(np.zeros(8))) == pytest.approx(exact, abs=0.01)
    assert randomisation_test(mean_of(gaps), mean_of(gaps)) == 1


def test_randomisation_computes_the_metric_anew_after_each_exchange() -> None:
    """Exchanging contributions to a macro-F1 of many rare classes called equal models different in 26 to 41 %."""
    rng, found, draws, classes = np.random.default_rng(0), 0, 60, 60
    for index in range(draws):
        weights = 1 / np.arange(1, classes + 1)
        labels = rng.choice(classes, 200, p=weights / weights.sum())
        easy = rng.random(200) < 0.55
        models = [np.where(easy | (rng.random(200) < 0.4), labels, rng.integers(0, classes, 200)) for _ in range(2)]
        found += randomisation_test(*(macro_f1(labels, model) for model in models), seed=index) < 0.05
    assert found / draws <= 0.12


def macro_f1(labels: np.ndarray, predictions: np.ndarray) -> MetricRatios:
    table = pa.table({"label": labels.astype(str), "prediction": predictions.astype(str)})
    return metric_ratios("macro_f1", "class", table)


def test_a_ratio_is_exchanged_as_sums() -> None:
    """A class that only one of the models predicts has no denominator in the other."""
    first = MetricRatios(("a", "b"), np.array([[2.0, 0], [0, 2]]), np.array([[2.0, 0], [0, 2]]))
    second = MetricRatios(("a", "c"), np.array([[2.0, 0], [0, 0]]), np.array([[2.0, 0], [0, 1]]))
    assert second.aligned(("a", "b", "c")).denominators.tolist() == [[2, 0, 0], [0, 0, 1]]
    assert randomisation_test(first, second) == 1  # one example differs: every exchange is as far


def test_the_same_numbers_give_the_same_answer() -> None:
    gaps = np.random.default_rng(0).normal(size=300)
    zeros = mean_of(np.zeros(300))
    assert randomisation_test(mean_of(gaps), zeros) == randomisation_test(mean_of(gaps), zeros)
    assert example_interval(gaps, 0.95) == example_interval(gaps, 0.95)


def test_the_bootstrap_covers_the_truth() -> None:
    rng, draws, covered, share = np.random.default_rng(0), 100, 0, 0.8
    for index in range(draws):
        interval = example_interval((rng.random(120) < share).astype(float), 0.95, seed=index)
        states(interval.source, "bootstrap", 120)
        covered += interval.low <= share <= interval.high
    assert 0.88 <= covered / draws <= 0.99


def test_examples_that_are_all_right_are_not_certain() -> None:
    interval = example_interval(np.ones(100), 0.95)
    assert interval.high == 1
    assert interval.low == pytest.approx(0.025 ** (1 / 100))
    assert example_interval(np.full(5, 2.5), 0.95).low == 2.5


def test_a_large_test_set_needs_no_resampling() -> None:
    values = np.random.default_rng(0).normal(size=30_000)
    interval = example_interval(values, 0.95)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 / 30_000**0.5, rel=0.02)
