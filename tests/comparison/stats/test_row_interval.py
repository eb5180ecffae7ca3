"""Coverage and ends of the interval of a row's metric. All simulated."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from ftlab.comparison.stats.layout import NO_PRIOR
from ftlab.comparison.stats.row_interval import seeds_and_examples_interval, seeds_only_interval
from tests.fixtures.statements import states


@pytest.mark.parametrize(("accuracy", "sd", "seeds"), [(0.9, 0.005, 10), (0.95, 0.01, 3), (0.99, 0.005, 5)])
def test_it_covers_the_expected_accuracy_over_seeds_and_examples(accuracy: float, sd: float, seeds: int) -> None:
    """An interval over seeds alone covered it in 46 to 89 %."""
    rng, draws, covered, examples = np.random.default_rng(0), 300, 0, 200
    latent = norm.ppf(accuracy)
    shift = sd / norm.pdf(latent)
    for _ in range(draws):
        runs = rng.normal(0, shift, (seeds, 1)) + rng.normal(0, 0.4, (seeds, examples)) + rng.normal(0, 0.9, examples)
        hits = (latent * (0.97 + shift**2) ** 0.5 + runs > 0).astype(float)
        interval = seeds_and_examples_interval(hits, NO_PRIOR, 0.95, (0.0, 1.0))
        covered += interval.low <= accuracy <= interval.high
        assert 0 <= interval.low <= interval.high <= 1
    assert covered / draws >= 0.92


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.integers(2, 40), st.floats(0, 1))
def test_it_holds_the_mean_and_stays_in_the_range(seed: int, seeds: int, examples: int, share: float) -> None:
    hits = (np.random.default_rng(seed).random((seeds, examples)) < share).astype(float)
    interval = seeds_and_examples_interval(hits, NO_PRIOR, 0.95, (0.0, 1.0))
    assert 0 <= interval.low <= hits.mean() <= interval.high <= 1


def test_two_seeds_that_agree_do_not_make_it_narrow() -> None:
    interval = seeds_only_interval(np.array([0.69, 0.70]), NO_PRIOR, 0.95, (0.0, 1.0))
    assert 0 < interval.low < 0.66
    assert 0.73 < interval.high < 1
    states(interval.source, "2 seeds")


def test_all_right_on_every_seed_is_not_certain() -> None:
    interval = seeds_and_examples_interval(np.ones((3, 400)), NO_PRIOR, 0.95, (0.0, 1.0))
    assert interval.high == 1
    assert interval.low == pytest.approx(0.025 ** (1 / 400))


def test_a_loss_is_cut_at_its_bound_alone() -> None:
    losses = np.random.default_rng(0).gamma(0.05, 1, (2, 8))
    interval = seeds_and_examples_interval(losses, NO_PRIOR, 0.95, (0.0, float("inf")))
    assert interval.low == 0
    assert interval.high > losses.mean()
