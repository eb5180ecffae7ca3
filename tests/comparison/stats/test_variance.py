"""The test of two methods on seeds and examples: its level, its power, the coverage of its interval. All simulated."""

from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import ttest_power

from ftlab.comparison.stats.layout import (
    examples_only_difference,
    paired_difference,
    seeds_only_difference,
    unpaired_difference,
)
from ftlab.comparison.stats.one_seed import mcnemar
from ftlab.comparison.stats.variance import Array, DifferenceEstimate

ALPHA = 0.05
Random = np.random.Generator


def detected(spread: DifferenceEstimate) -> bool:
    return abs(spread.difference) > spread.half_width(ALPHA)


def two(rng: Random, seeds: int, examples: int, *, seed: float, example: float, both: float) -> tuple[Array, Array]:
    """Two methods equal in expectation; arguments are variances of their difference over seeds, examples and both."""
    b = rng.normal(0, example**0.5, examples)
    one, other = (
        rng.normal(0, (seed / 2) ** 0.5, (seeds, 1)) + rng.normal(0, (both / 2) ** 0.5, (seeds, examples))
        for _ in range(2)
    )
    return one + b, other


# the seeds' variance beside what the interaction alone makes of it, and the examples' variance beside the interaction
@pytest.mark.parametrize(("seed", "example"), [(0.0, 0.0), (0.0, 3.0), (1.0, 0.1), (3.0, 0.0), (10.0, 1.0)])
def test_the_level_holds_whatever_varies(seed: float, example: float) -> None:
    rng, draws, examples = np.random.default_rng(1), 800, 150
    pairs = [two(rng, 3, examples, seed=seed / examples, example=example, both=1.0) for _ in range(draws)]
    rate = np.mean([detected(paired_difference(a - b)[0]) for a, b in pairs])
    of_strangers = np.mean([detected(unpaired_difference(a, b)[0]) for a, b in pairs])
    assert rate <= 0.07
    assert of_strangers <= 0.07
    assert rate >= (0.03 if example == 0 else 0.015)  # between both parts the weighted quantile is careful
    assert of_strangers >= 0.012  # Welch's test of 3 and 3 is, too


def answers(rng: Random, seeds: int, examples: int, difficulty: Array, sd: float) -> Array:
    """Right and wrong answers of one method: runs are better or worse throughout, and waver on hard examples."""
    latent = difficulty + rng.normal(0, sd, (seeds, 1)) + rng.normal(0, 0.5, (seeds, examples))
    return (latent > 0).astype(np.float64)


def test_a_method_against_itself_where_mcnemar_sees_two() -> None:
    rng, draws = np.random.default_rng(0), 300
    ours = theirs = 0
    for _ in range(draws):
        difficulty = rng.normal(3, 2, 2000)
        one, other = (answers(rng, 3, 2000, difficulty, 0.15) for _ in range(2))
        ours += detected(paired_difference(one - other)[0])
        theirs += mcnemar(one[0], other[0]) < ALPHA
    assert 0.02 <= ours / draws <= 0.08
    assert theirs / draws > 0.25


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng, draws, truth = np.random.default_rng(2), 1000, 0.3
    covered = 0
    for _ in range(draws):
        one, other = two(rng, 5, 200, seed=0.01, example=0.3, both=1.0)
        spread, _ = paired_difference(one - other + truth)
        covered += abs(spread.difference - truth) <= spread.half_width(ALPHA)
    assert 0.94 <= covered / draws <= 0.985


@pytest.mark.parametrize(("seed", "example"), [(0.02, 0.0), (0.0, 2.0), (0.005, 1.0)])
def test_a_difference_is_found_as_often_as_predicted(seed: float, example: float) -> None:
    rng, draws, examples, seeds = np.random.default_rng(3), 600, 200, 4
    truth = DifferenceEstimate(0, seed / seeds + 1 / (seeds * examples), seeds - 1, example / examples, examples - 1)
    effect = truth.detectable(ALPHA)
    assert effect is not None
    assert truth.power(effect, ALPHA) == pytest.approx(0.8, abs=1e-3)
    found = 0
    for _ in range(draws):
        one, other = two(rng, seeds, examples, seed=seed, example=example, both=1.0)
        found += detected(paired_difference(one - other + effect)[0])
    assert found / draws == pytest.approx(0.8, abs=0.06)


@pytest.mark.parametrize(
    ("spread", "df"),
    [(DifferenceEstimate(0.0, 1.0, 4, 0.0, 99), 4), (DifferenceEstimate(0.0, 0.0, inf, 1.0, 30), 30)],
    ids=["seeds", "examples"],
)
def test_with_one_part_it_is_the_t_test(spread: DifferenceEstimate, df: int) -> None:
    assert spread.half_width(0.05) == pytest.approx(stats.t.isf(0.025, df))
    assert spread.power(2.5, 0.05) == pytest.approx(ttest_power(2.5, nobs=1, df=df, alpha=0.05), abs=2e-3)


def test_seeds_alone_are_the_tests_of_scipy() -> None:
    one, other = np.array([0.91, 0.93, 0.92, 0.95]), np.array([0.90, 0.90, 0.91, 0.91])
    assert seeds_only_difference(one - other).p() == pytest.approx(stats.ttest_rel(one, other).pvalue)
    assert seeds_only_difference(one, other).p() == pytest.approx(stats.ttest_ind(one, other, equal_var=False).pvalue)


def test_different_numbers_of_seeds_hold_the_level() -> None:
    """By Welch's degrees of freedom 10 and 2 seeds rejected in 9 to 15 %."""
    rng, draws, found = np.random.default_rng(0), 1500, 0
    for _ in range(draws):
        found += detected(seeds_only_difference(rng.normal(0, 0.3, 10), rng.normal(0, 2.0, 2)))
    assert found / draws <= 0.065


def test_examples_alone_are_the_paired_t_test() -> None:
    gaps = np.random.default_rng(0).normal(0.2, 1, 50)
    assert examples_only_difference(gaps)[0].p() == pytest.approx(stats.ttest_1samp(gaps, 0).pvalue)


def test_methods_without_seeds_vary_over_examples_alone() -> None:
    gaps = np.random.default_rng(0).normal(0.2, 1, 50)
    spread, _ = paired_difference(np.tile(gaps, (3, 1)))  # zero_shot against majority: every seed says the same
    assert spread.seed_variance == pytest.approx(0, abs=1e-20)
    assert spread.p() == pytest.approx(stats.ttest_1samp(gaps, 0).pvalue)


def test_seeds_that_agree_by_chance_prove_nothing() -> None:
    gaps = np.zeros((3, 100))
    gaps[0, 0] = gaps[1, 1] = gaps[2, 2] = 1.0  # one example each: the same difference of accuracy three times
    spread, _ = paired_difference(gaps)
    assert spread.p() > 0.05


def test_what_is_equal_is_not_different() -> None:
    spread, components = paired_difference(np.zeros((3, 20)))
    assert spread.p() == 1
    assert spread.half_width(0.05) == 0
    assert spread.detectable(0.05) is None
    assert components.expected_difference(5, 40).power(0.01, 0.05) == 1


@settings(max_examples=40, deadline=None)
@given(
    st.integers(2, 6),
    st.integers(3, 40),
    st.floats(-1, 1),
    st.floats(0.01, 2),
    st.integers(0, 2**32 - 1),
    st.booleans(),
)
def test_p_and_interval_agree(seeds: int, examples: int, shift: float, scale: float, seed: int, pairs: bool) -> None:
    rng = np.random.default_rng(seed)
    one, other = rng.normal(shift, scale, (seeds, examples)), rng.normal(0, scale, (seeds, examples))
    spread, components = paired_difference(one - other) if pairs else unpaired_difference(one, other)
    mirrored, _ = paired_difference(other - one) if pairs else unpaired_difference(other, one)
    p = spread.p()
    assert 0 < p <= 1
    assert mirrored.p() == pytest.approx(p)
    assert (p < ALPHA) == detected(spread)
    assert spread.difference == pytest.approx(one.mean() - other.mean())
    assert min(components.seed, components.example, components.interaction) >= 0
    least = spread.detectable(ALPHA)
    assert least is not None
    assert spread.power(least, ALPHA) == pytest.approx(0.8, abs=1e-3)
