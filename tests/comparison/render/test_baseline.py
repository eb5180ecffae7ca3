"""Sentences on the best constant answer and on collapsed runs."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ftlab.comparison import compare
from ftlab.comparison.render.baseline import baseline_sentence
from ftlab.comparison.render.charts import chart_data
from ftlab.comparison.render.findings import findings
from ftlab.comparison.render.json_file import json_text
from ftlab.comparison.render.latex import latex
from ftlab.comparison.render.main_table import caption
from ftlab.comparison.render.markdown import markdown
from ftlab.comparison.stats.inference import Interval
from ftlab.comparison.tables import Baseline, ComparisonTables, Table
from tests.comparison.factory import add_run, showcase
from tests.comparison.families import add_predictions, family
from tests.fixtures.statements import states

INTERVALS = {"full": (0.90, 0.97), "lora": (0.2, 0.6), "prefix": (0.1, 0.3)}


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """Three rows, of which only `full` is surely above an answer of 0.234."""
    for method in INTERVALS:
        add_run(tmp_path, method, curves=False)
    (table,) = compare([tmp_path], tests=False).tables
    intervals = {label: Interval(low, high, 0.95, "t over 3 seeds") for label, (low, high) in INTERVALS.items()}
    return replace(
        table, family=replace(family(table), intervals=intervals), baseline=Baseline("sport", 0.2338, table.columns[0])
    )


def test_rows_whose_interval_reaches_the_constant_answer_are_named(table: Table) -> None:
    assert (
        baseline_sentence(table)
        == "Not shown to be above always answering sport (0.234) in test accuracy: lora, prefix."
    )
    assert findings(table)[0] == baseline_sentence(table)


def test_if_no_row_is_above_it_one_sentence_says_so(table: Table) -> None:
    assert table.family is not None
    low = {label: Interval(0.1, 0.9, 0.95, "") for label in INTERVALS}
    expected = "No row is shown to be above always answering sport (0.234) in test accuracy."
    assert baseline_sentence(replace(table, family=replace(table.family, intervals=low))) == expected
    assert baseline_sentence(replace(table, family=replace(table.family, intervals={}))) == expected


def test_rows_that_are_all_above_it_need_no_sentence(table: Table) -> None:
    assert baseline_sentence(replace(table, baseline=Baseline("sport", 0.05, table.columns[0]))) == ""


def test_of_an_error_better_is_below(table: Table) -> None:
    assert table.family is not None
    error = table.columns[0].model_copy(update={"higher_is_better": False})
    tested = replace(table.family, column=error)
    text = baseline_sentence(replace(table, family=tested, baseline=Baseline("the median 2", 0.4, error)))
    assert text == "Not shown to be below always answering the median 2 (0.400) in test accuracy: full, lora."


def test_of_another_metric_than_the_tested_one_only_the_caption_tells(table: Table) -> None:
    other = replace(table, baseline=Baseline("sport", 0.2338, table.columns[1]))
    assert baseline_sentence(other) == ""
    states(caption(other), "Always answering sport gives test macro-F1 0.234")
    assert chart_data(ComparisonTables((other,), ()))["tables"][0]["baseline"] is None


def test_without_a_constant_answer_nothing_is_said(table: Table) -> None:
    without = replace(table, baseline=None)
    assert baseline_sentence(without) == ""
    assert "constant" not in caption(without)


def test_every_form_of_the_table_has_it(tmp_path: Path) -> None:
    sweep = showcase(tmp_path)
    add_predictions(sweep)
    comparison = compare([sweep])
    (table,) = comparison.tables
    assert table.baseline is not None
    line = f"Always answering {table.baseline.answer} gives test accuracy {table.baseline.value:.3f}"
    states(caption(table), line, "test labels")
    for text in (markdown(comparison), latex(comparison)):
        assert line in text
    content = json.loads(json_text(comparison, sweep))["tables"][0]
    assert content["baseline"] == {
        "answer": table.baseline.answer,
        "metric": "accuracy",
        "value": table.baseline.value,
    }
    assert content["collapsed"] == []
    assert chart_data(comparison)["tables"][0]["baseline"]["label"] == f"always {table.baseline.answer}"


def test_collapsed_runs_are_noted_as_a_rate(tmp_path: Path) -> None:
    for seed, accuracy in enumerate((0.9, 0.2, 0.91, 0.15, 0.89)):
        add_run(tmp_path, "prefix", seed=seed, accuracy=accuracy, curves=False)
        add_run(tmp_path, "full", seed=seed, curves=False)
    (table,) = compare([tmp_path], tests=False).tables
    table = replace(table, baseline=Baseline("sport", 0.234, table.columns[0]))
    states(caption(table), "2 of 5 runs of prefix collapsed (rate 5 to 85 %)")
    content = json.loads(json_text(ComparisonTables((table,), ()), tmp_path))["tables"][0]["collapsed"]
    assert [(collapse["row"], collapse["seeds"], collapse["runs"]) for collapse in content] == [("prefix", [1, 3], 5)]
