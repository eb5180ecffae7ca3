"""Simulated sweeps of equal methods: which statements hold after a search, and after several looks."""

import pytest

from benchmarks.looks import differences_at_looks
from benchmarks.search_seeds import RATES, ErrorRates, error_rates

DRAWS = 240


@pytest.fixture(scope="module")
def rates() -> dict[str, ErrorRates]:
    return {way: error_rates(way, RATES["far"], 5, DRAWS) for way in ("shared", "own", "per_seed")}


def test_a_seed_that_chose_is_too_good_and_seeds_of_the_search_alone_are_not(rates: dict[str, ErrorRates]) -> None:
    assert rates["shared"].first_seed > 0.25
    assert abs(rates["own"].first_seed) < 0.15
    assert abs(rates["per_seed"].first_seed) < 0.15


def test_equal_methods_are_called_different_unless_each_seed_is_searched(rates: dict[str, ErrorRates]) -> None:
    """A search may choose a worse rate for one of them: then they do differ, at these rates."""
    assert rates["shared"].different > 0.08
    assert rates["own"].different > 0.08
    assert rates["per_seed"].different - 2 * rates["per_seed"].error(0.05) <= 0.07


def test_the_statement_on_the_rates_chosen_holds(rates: dict[str, ErrorRates]) -> None:
    for way in ("own", "per_seed"):
        assert rates[way].missed - 2 * rates[way].error(0.05) <= 0.07


def test_a_test_at_each_look_errs_more_often_than_one_at_the_end() -> None:
    different = differences_at_looks(8, 300)
    assert different[:, -1].mean() <= 0.08
    assert different.any(1).mean() > 0.1
