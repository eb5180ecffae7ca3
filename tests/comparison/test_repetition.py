"""A repetition is compared with what it repeats: results to the bit, and everything that may explain a difference."""

import math
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ftlab.comparison.render.repetition import repetition_tables
from ftlab.comparison.repetition import Repetition, compare_repetition
from ftlab.record import Metric, RunRecord, read_record
from tests.comparison.factory import add_run
from tests.fixtures.statements import states


@pytest.fixture
def record(tmp_path: Path) -> RunRecord:
    return read_record(add_run(tmp_path, "lora", accuracy=0.9))


def with_metric(record: RunRecord, name: str, value: float | None, task: str | None = None) -> RunRecord:
    task = task or record.task
    test = {**record.metrics.get(task, {}).get("test", {}), name: Metric(value=value, n=334)}
    return record.model_copy(update={"metrics": {**record.metrics, task: {"test": test}}})


def printed(repetition: Repetition) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(repetition_tables(repetition))
    return capture.get()


def test_a_record_agrees_with_itself(record: RunRecord) -> None:
    repetition = compare_repetition(record, record)
    assert repetition.agrees
    for differences in (repetition.settings, repetition.identity, repetition.versions, repetition.hardware):
        assert differences == ()
    assert [pair.name for pair in repetition.metrics] == ["accuracy", "macro_f1"]
    states(repetition.verdict, 2, "equal")
    states(printed(repetition), "0.9", "equal", repetition.verdict)


def test_the_last_bit_counts(record: RunRecord) -> None:
    other = with_metric(record, "accuracy", math.nextafter(0.9, 1))
    repetition = compare_repetition(record, other)
    assert not repetition.agrees
    (accuracy, f1) = repetition.metrics
    assert not accuracy.equal
    assert accuracy.difference == math.nextafter(0.9, 1) - 0.9
    assert f1.equal
    states(repetition.verdict, "1 of 2")
    states(printed(repetition), "+1.11e-16")


def test_metrics_that_one_of_them_lacks_are_not_equal_and_parts_are_named(record: RunRecord) -> None:
    other = with_metric(with_metric(record, "accuracy", None), "loss", 0.5, task="part")
    pairs = {pair.name: pair for pair in compare_repetition(record, other).metrics}
    assert set(pairs) == {"accuracy", "macro_f1", "part/loss"}
    assert not pairs["accuracy"].equal
    assert pairs["accuracy"].difference is pairs["part/loss"].difference is None
    neither = with_metric(record, "accuracy", None)
    assert compare_repetition(neither, neither).agrees, "no value then, and none now"


@pytest.mark.parametrize(
    ("changes", "group", "name", "explanation"),
    [
        ({"determinants": {"seed": 7}}, "settings", "seed", "settings"),
        ({"base_model": {"sha256": "f" * 64}}, "identity", "base model", "base model"),
        ({"versions": {"torch": "9"}}, "versions", "torch", "versions"),
        ({"git": {"commit": "a" * 40, "dirty": True}}, "versions", "git commit", "versions"),
        ({"hardware": {"threads": 64}}, "hardware", "threads", "hardware"),
        ({}, "settings", None, "not the same from run to run"),
    ],
)
def test_what_may_explain_a_difference_is_told(
    changes: dict[str, Any], group: str, name: str | None, explanation: str, record: RunRecord
) -> None:
    if "hardware" in changes:
        changes = {"hardware": record.hardware.model_copy(update=changes["hardware"])}
        record = record.model_copy(update={"hardware": record.hardware.model_copy(update={"threads": 2})})
    if "determinants" in changes:
        changes = {"determinants": {**record.determinants, **changes["determinants"]}}
    repetition = compare_repetition(record, with_metric(record, "accuracy", 0.1).model_copy(update=changes))
    names = [difference.name for difference in getattr(repetition, group)]
    assert (name in names) if name else not names
    states(repetition.verdict, explanation)
    if name:
        states(printed(repetition), name)


def test_what_a_failed_run_did_not_get_to_know_is_no_difference(record: RunRecord, tmp_path: Path) -> None:
    failed = read_record(add_run(tmp_path, "lora", status="failed"))
    failed = failed.model_copy(
        update={"fingerprint": None, "hardware": None, "data": None, "base_model": None, "cost": None}
    )
    for then, now in ((failed, record), (record, failed)):
        repetition = compare_repetition(then, now)
        assert not repetition.agrees
        assert not repetition.hardware
        assert {difference.name for difference in repetition.identity} <= {"config_hash"}
        states(repetition.verdict, "failed")
        assert "accuracy" not in printed(repetition)


def test_runs_without_metrics_do_not_agree(record: RunRecord) -> None:
    empty = record.model_copy(update={"metrics": {}})
    repetition = compare_repetition(empty, empty)
    assert not repetition.agrees
    assert "agrees to the bit" not in repetition.verdict


def test_names_in_a_record_control_no_terminal(record: RunRecord) -> None:
    other = record.model_copy(update={"versions": {**record.versions, "x\x1b[2J": "\x1b]0;[red]"}})
    text = printed(compare_repetition(record, other))
    assert "\x1b" not in text
    assert "[red]" in text
