"""Advice from measured rows: an answer where there is evidence, none where there is not."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from ftlab.comparison import compare
from ftlab.comparison.advice import Advice, Limits, advise
from ftlab.comparison.comparability import UNFINISHED
from ftlab.comparison.hypothesis_tests import family_of_rows
from ftlab.comparison.stats.inference import Family, Interval, MarginStatement, MarginStatements, MarginVerdict
from ftlab.comparison.tables import Configuration, Table
from ftlab.record import Data, find_records
from tests.comparison.answered import answers, with_hits
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
    family = Family(table.rows[0].label, ACCURACY[0], 0.05, (), intervals)
    return replace(table, family=family)


def verdicts(of: dict[str, MarginVerdict]) -> Callable[[Sequence[Configuration]], Family]:
    def within(rows: Sequence[Configuration]) -> Family:
        statements = tuple(
            MarginStatement(row.label, of[row.label], 0.004, -0.001, 0.009, False,
                            7 if of[row.label] == "open" else None, None, "methods")
            for row in rows
        )  # fmt: skip
        margin = MarginStatements(0.01, None, True, statements)
        return Family(rows[0].label, ACCURACY[0], 0.05, (), {}, within_margin=margin)

    return within


def answer(table: Table, limits: Limits, **of: MarginVerdict) -> Advice:
    return advise(table, limits, verdicts(of))


def test_of_rows_as_good_as_the_best_the_cheapest_is_advised(tmp_path: Path) -> None:
    table = made(tmp_path, "full", "lora", "head")
    advice = answer(table, Limits(), full="as good", lora="as good", head="worse by more")
    assert advice.method == "lora"
    states(advice.reasons[0], "lora", "accuracy", "0.01", "0.009", "training time")
    (worse,) = (reason for reason in advice.reasons if "head" in reason)
    states(worse, "more than", "0.01")
    assert answer(table, Limits(), full="as good", lora="worse by more", head="open").method == "full"


def test_a_row_that_is_not_told_apart_is_not_as_good_for_that(tmp_path: Path) -> None:
    """The cheapest row not told apart from the best was advised: more than a point below it in 9 of 10 sweeps."""
    table = made(tmp_path, "full", "lora", "head")
    advice = answer(table, Limits(), full="open", lora="open", head="open")
    assert advice.method is None
    states(" ".join(advice.reasons), "0.01", "7 seeds", "head")


def test_rows_with_failed_runs_are_named_and_barred(tmp_path: Path) -> None:
    made(tmp_path, "full", "lora")
    add_run(tmp_path, "lora", seed=3, status="failed")
    table = made(tmp_path, "head")
    of: dict[str, MarginVerdict] = {"full": "as good", "lora": "as good", "head": "worse by more"}
    advice = answer(table, Limits(), **of)
    assert advice.method == "full"
    states(advice.reasons[-1], "lora", "1 of 4", "failed", "--allow failures")
    assert answer(table, Limits(allow=frozenset({"failures"})), **of).method == "lora"


def test_limits_leave_rows_out_and_the_evidence_says_why(tmp_path: Path) -> None:
    table = made(tmp_path, "full", "lora", "head")
    advice = answer(table, Limits(memory_bytes=1.0 * GB, at_least=(("accuracy", 0.9),)))
    assert advice.method == "lora"
    assert {one.row.label: one.status for one in advice.assessments} == {
        "full": "fails",
        "lora": "meets",
        "head": "fails",
    }
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
    advice = answer(made(tmp_path, "full", "lora", seeds=(0,)), Limits())
    assert advice.method is None
    assert "python train.py -m method=full,lora seed=0,1,2" in advice.reasons[0]


def test_without_a_margin_there_is_no_answer(tmp_path: Path) -> None:
    advice = advise(made(tmp_path, "full", "lora"), Limits(), lambda _: None)
    assert advice.method is None
    states(advice.reasons[0], "--margin", "accuracy")


def test_the_preferred_cost_decides_between_equals(tmp_path: Path) -> None:
    table = made(tmp_path, "full", "lora", "prefix", "partial")
    equal: dict[str, MarginVerdict] = dict.fromkeys(("full", "lora", "prefix", "partial"), "as good")
    assert answer(table, Limits(prefer="time"), **equal).method == "partial"
    assert answer(table, Limits(prefer="size"), **equal).method == "prefix"


def advised(folder: Path) -> Advice:
    (table,) = compare([folder]).tables
    return advise(table, Limits(), partial(family_of_rows, table, margin=0.1))


def three_methods(folder: Path, data_of_full: str | None = None) -> None:
    rng = np.random.default_rng(0)
    hard = rng.normal(size=400)
    for method, accuracy in (("full", 0.9), ("lora", 0.88), ("head", 0.6)):
        for seed in range(3):
            declared = {"compare.reference": "full"}
            run = with_hits(folder, method, seed, answers(rng, 400, accuracy, hard), **declared)
            if method == "full" and data_of_full:
                ((_, record),) = find_records(run)
                record.model_copy(update={"data": Data(hash=data_of_full, rows={}, labels=[])}).write(run)


def test_a_declared_reference_does_not_keep_advice_from_the_best_row(tmp_path: Path) -> None:
    three_methods(tmp_path)
    advice = advised(tmp_path)
    assert advice.method in ("full", "lora")
    states(" ".join(advice.reasons), "full", "lora", "head")


def test_rows_that_must_not_be_compared_are_named(tmp_path: Path) -> None:
    three_methods(tmp_path, data_of_full="other-rows")
    advice = advised(tmp_path)
    assert advice.method is None
    states(" ".join(advice.reasons), "lora", "head", "data", "other-rows")
    assert "--margin" not in " ".join(advice.reasons), "it was given"


def test_a_run_that_was_interrupted_is_no_failure_of_its_method(tmp_path: Path) -> None:
    three_methods(tmp_path)
    add_run(tmp_path, "lora", seed=3, status="interrupted", settings={"compare.reference": "full"})
    (table,) = compare([tmp_path], allow=[UNFINISHED]).tables
    advice = advise(table, Limits(), partial(family_of_rows, table, margin=0.1))
    assert "failed" not in " ".join(advice.reasons)
