"""Correction of p values for the number of tests."""

import gc
import math

import pytest

from ftlab.comparison.hypothesis_tests import holm
from ftlab.comparison.stats.inference import Contrast


def contrast(row: str, p: float | None, difference: float = 0.1) -> Contrast:
    return Contrast(row, "full", difference, None, p, None, "", None, "", 3, 9, "methods", None)


def test_holm_looks_at_no_object_but_its_own() -> None:
    collected: list[int] = []

    def note(phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            collected.append(gc.get_freeze_count())

    gc.callbacks.append(note)
    try:
        holm([contrast("a", 0.01), contrast("b", 0.02)])
    finally:
        gc.callbacks.remove(note)
    assert max(collected) > 1000  # statsmodels collects at each call
    assert gc.get_freeze_count() == 0


def test_a_p_value_that_is_no_number_spoils_no_other() -> None:
    """statsmodels 0.15 adjusts 0.01 to not a number beside one."""
    tested = holm([contrast("a", 0.01), contrast("b", math.nan), contrast("c", 0.02, -0.1)])
    assert [c.adjusted for c in tested] == [0.02, None, 0.02]
    assert [c.p for c in tested] == [0.01, None, 0.02]
    assert not tested[1].is_significant(0.05)


def test_holm_counts_tests_that_are_not_shown() -> None:
    tested = holm([contrast("a", 0.01), contrast("b", None), contrast("c", 0.02, -0.1), contrast("d", 0.5)])
    assert [c.adjusted for c in tested] == [pytest.approx(0.03), None, pytest.approx(0.04), 0.5]
    tested = holm([contrast("a", 0.01), contrast("b", 0.5)], [0.001, 0.4])
    assert [c.adjusted for c in tested] == [pytest.approx(0.03), pytest.approx(0.8)]
