"""Advice from measured rows: an answer where there is evidence, none where there is not."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ftlab.comparison import compare
from ftlab.comparison.advice import Advice, Limits, advise
from ftlab.comparison.stats.inference import Contrast, Family, Interval
from ftlab.comparison.tables import Configuration, Table
from tests.comparison.factory import ACCURACY, METHODS, add_run
from tests.fixtures.statements import states

GB = 10**9


def made(folder: Path, *methods: str, seeds: Sequence[int] = (0, 1, 2)) -> Table:
    for method in methods:
        for seed in seeds:
            add_run(folder, method, seed=seed, accuracy=METHODS[method][2], curves=False)
    (table,) = compare([folder]).tables
    intervals = {
        row.label: Interval(METHODS[row.method][2] - 0.01, METHODS[row.method][2] + 0.01, 0.95, "t over 3 seeds")
        for row in table.rows
    }
    family = Family(table.rows[0].label, ACCURACY[0], 0.05, (), intervals, {})
    return replace(table, family=family)


def against_best(p: dict[str, float | None]) -> Callable[[Sequence[Configuration], str], Family]:
    def against(rows: Sequence[Configuration], reference: str) -> Family:
        contrasts = tuple(
            Contrast(row.label, reference, -0.01, None, p[row.label], p[row.label], "by hand", None, "", 3, 445,
                     "methods", 0.012, "" if p[row.label] is not None else "no predictions")
            for row in rows if row.label != reference
        )  # fmt: skip
        return Family(reference, ACCURACY[0], 0.05, contrasts, {}, {})

    return against


def answer(table: Table, limits: Limits, **p: float | None) -> Advice:
    return advise(table, limits, against_best(p))


def test_of_rows_not_told_apart_the_cheapest_is_advised(tmp_path: Path) -> None:
    table = made(tmp_path, "full", "lora", "head")
    advice = answer(table, Limits(), lora=0.41, head=0.001)
    assert advice.method == "lora"
    states(advice.reasons[0], "lora", "full", "accuracy", "p=0.41", "training time")
    (worse,) = (reason for reason in advice.reasons if "head" in reason)
    states(worse, "full")
    states(" ".join(advice.reasons[1:]), "0.012")  # the difference that would have gone unseen
    assert answer(table, Limits(), lora=0.001, head=0.001).method == "full"


def test_a_scattered_row_below_one_detected_as_worse_is_not_advised(tmp_path: Path) -> None:
    """Found on real runs: bitfit, 20 points lower and cheap, was advised as its three seeds could not be told apart."""
    advice = answer(made(tmp_path, "full", "lora", "prefix", "head"), Limits(), lora=0.41, prefix=0.02, head=0.3)
    assert advice.method == "lora"  # head is cheaper, and lower than prefix
    detected, scattered = (reason for reason in advice.reasons if "prefix" in reason or "head" in reason)
    states(detected, "full", "prefix")
    states(scattered, "head")


def test_limits_leave_rows_out_and_the_evidence_says_why(tmp_path: Path) -> None:
    table = made(tmp_path, "full", "lora", "head")
    advice = answer(table, Limits(memory_bytes=1.0 * GB, at_least=(("accuracy", 0.9),)))
    assert advice.method == "lora"
    verdicts = {one.row.label: one.status for one in advice.assessments}
    assert verdicts == {"full": "fails", "lora": "meets", "head": "fails"}
    (evidence,) = (one.evidence for one in advice.assessments if one.row.label == "full")
    states(evidence[0][1], "1.00 GB")


def test_a_mean_above_the_limit_is_not_enough(tmp_path: Path) -> None:
    """0.946 [0.936, 0.956] may lie below 0.94."""
    advice = answer(made(tmp_path, "lora", "head"), Limits(at_least=(("accuracy", 0.94),)))
    assert advice.method is None
    states(advice.reasons[0], "lora")


@pytest.mark.parametrize(
    ("limits", "verdict"),
    [
        (Limits(memory_bytes=1.0), "fails"),
        (Limits(minutes=0.01), "fails"),
        (Limits(at_least=(("bleu", 30.0),)), "unsure"),
    ],
)
def test_where_nothing_fits_there_is_no_answer(limits: Limits, verdict: str, tmp_path: Path) -> None:
    advice = answer(made(tmp_path, "full", "lora"), limits)
    assert advice.method is None
    assert {one.status for one in advice.assessments} == {verdict}
    assert advice.reasons


def test_one_seed_each_is_thin_evidence(tmp_path: Path) -> None:
    advice = answer(made(tmp_path, "full", "lora", seeds=(0,)), Limits(), lora=0.4)
    assert advice.method is None
    assert "python train.py -m method=full,lora seed=0,1,2" in advice.reasons[0]


def test_what_cannot_be_tested_is_not_advised(tmp_path: Path) -> None:
    advice = answer(made(tmp_path, "full", "lora"), Limits(), lora=None)
    assert advice.method is None
    states(advice.reasons[0], "no predictions")  # the contrast's own note


def test_the_preferred_cost_decides_between_equals(tmp_path: Path) -> None:
    table = made(tmp_path, "full", "lora", "prefix", "partial")
    equal = {"lora": 0.5, "prefix": 0.5, "partial": 0.5}
    assert answer(table, Limits(prefer="time"), **equal).method == "partial"
    assert answer(table, Limits(prefer="size"), **equal).method == "prefix"
