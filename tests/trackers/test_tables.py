"""The comparison as rows: values, intervals and letters, and where methods disagree."""

import dataclasses
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from ftlab.comparison import compare
from ftlab.comparison.stats.inference import Contrast, Family, Interval, MarginStatement, MarginStatements
from ftlab.trackers import tables
from tests.comparison import factory
from tests.trackers.made import predictions


def test_a_row_per_configuration_with_what_the_tests_said(tmp_path: Path) -> None:
    for seed in (0, 1):
        for method in ("lora", "full"):
            factory.add_run(tmp_path, method, seed=seed)
    comparison = compare([tmp_path])
    (table,) = comparison.tables
    labels = [row.label for row in table.rows]
    interval = Interval(0.9, 0.95, 0.95, "t over 2 seeds")
    contrast = Contrast(labels[1], labels[0], -0.01, None, 0.2, 0.2, "paired t", None, "", 2, 334, "methods", None)
    statement = MarginStatement(labels[1], "open", 0.01, 0.0, 0.02, False, 9, None, "methods")
    within = MarginStatements(0.01, None, True, (statement,))
    family = Family(labels[0], table.columns[0], 0.05, (contrast,), {labels[0]: interval}, (), within)
    tested = dataclasses.replace(comparison, tables=(dataclasses.replace(table, family=family),))
    headings, found = tables.comparison_table(tested)
    first, second = (dict(zip(headings, row, strict=True)) for row in found)
    assert (first["method"], first["seeds"], first["against reference"]) == ("full", 2, None)
    assert (first["test/accuracy low"], first["test/accuracy high"], first["difference"]) == (0.9, 0.95, None)
    assert (second["test/accuracy low"], second["difference"], second["adjusted p"]) == (None, -0.01, 0.2)
    assert (second["against reference"], second["within margin"], second["margin"]) == ("not told apart", "open", 0.01)
    assert second["trainable_params"] == 295_685
    assert second["peak_memory_bytes"] > 9e8
    plain, _ = tables.comparison_table(
        dataclasses.replace(comparison, tables=(dataclasses.replace(table, family=None),))
    )
    assert "against reference" not in plain


def test_examples_on_which_methods_disagree(tmp_path: Path) -> None:
    folders = [factory.add_run(tmp_path, method) for method in ("full", "lora", "prefix")]
    labels = ["a", "a", "b", "b"]
    for folder, answers in zip(folders, ("aabb", "abab", "aaab"), strict=True):
        predictions(folder, list(answers), labels)
    (table,) = compare([tmp_path]).tables
    headings, found = tables.disagreements_table(table)
    assert headings == ["table", "example_id", "where", "text", "label", "right", "full", "lora", "prefix"]
    assert found == [
        ["bbc_news · minilm", "e1", "a.csv:2", "text 1", "a", 2, "a", "b", "a"],
        ["bbc_news · minilm", "e2", "a.csv:3", "text 2", "b", 1, "b", "a", "a"],
    ]


def test_without_predictions_nobody_disagrees(tmp_path: Path) -> None:
    factory.add_run(tmp_path, "full")
    predictions(factory.add_run(tmp_path, "lora"), ["a"], ["a"])
    (table,) = compare([tmp_path]).tables
    assert tables.disagreements_table(table) is None


@settings(max_examples=50, deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists))
def test_a_cell_is_plain_and_bounded(value: object) -> None:
    cell = tables._cell(value)
    assert cell is None or isinstance(cell, str | int | float)
    assert not isinstance(cell, str) or len(cell) <= 300
