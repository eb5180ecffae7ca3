"""Tables beside the main table: robustness, estimates, cost of searches, chances of being on the front."""

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from ftlab.comparison import compare
from ftlab.comparison.render.charts import chart_data
from ftlab.comparison.render.extra_table import ExtraTable
from ftlab.comparison.render.extra_tables import extra_tables
from ftlab.comparison.render.json_file import json_text
from ftlab.comparison.render.main_table import main_table
from ftlab.comparison.render.markdown import markdown
from ftlab.comparison.render.report import report
from ftlab.comparison.render.terminal import terminal_tables
from tests.comparison.examinations import examined_sweep
from tests.comparison.factory import demo, showcase
from tests.comparison.render.test_report import Page
from tests.fixtures.statements import states


def by_row(side: ExtraTable) -> dict[str, dict[str, str]]:
    return {
        row.label: dict(zip(side.headings, (cell.text for cell in cells), strict=True)) for row, cells in side.lines
    }


def test_nothing_examined_or_planned_has_no_side_table(tmp_path: Path) -> None:
    assert extra_tables(compare([showcase(tmp_path)], tests=False).tables[0]) == ()


def test_drops_forgetting_fit_and_the_base_stand_together(tmp_path: Path) -> None:
    beyond, *_ = extra_tables(compare([examined_sweep(tmp_path)], tests=False).tables[0])
    rows = by_row(beyond)
    assert rows["lora"] == {
        "drop: typos": "0.026 ± 0.002",
        "general loss before": "3.050 ± 0.000",
        "general loss after": "3.300 ± 0.000",
        "fit": "fits",
        "adapter off is the base": "passed",
    }
    assert rows["full"]["fit"] == "2 overfitting, 1 fits"
    assert rows["full"]["adapter off is the base"] == "skipped"
    states(beyond.note, 200, "upper")


def test_the_metric_is_told_for_each_part_of_the_test_split(tmp_path: Path) -> None:
    _, parts, _ = extra_tables(compare([examined_sweep(tmp_path)], tests=False).tables[0])
    assert by_row(parts)["lora"] == {
        "length: short, up to 812 characters, n = 112": "0.910 ± 0.000",
        "length: long, n = 111": "0.970 ± 0.000",
    }


def test_predictions_are_held_against_what_was_measured(tmp_path: Path) -> None:
    table = compare([examined_sweep(tmp_path)], tests=False).tables[0]
    planned = extra_tables(table)[-1]
    row, cells = planned.lines[0]
    run = row.runs[0]
    assert run.record.predicted is not None
    assert cells[0].value == run.record.predicted.memory_bytes.peak
    assert planned.headings[2] == "error (%)"
    assert 9 < float(cells[2].text.split()[0]) < 11


def test_a_search_is_a_part_of_the_time_of_the_row_it_was_for(tmp_path: Path) -> None:
    comparison = compare([examined_sweep(tmp_path)], tests=False)
    (table,) = comparison.tables
    times = chart_data(comparison)["tables"][0]["times"]
    assert times["parts"] == ["set-up", "training", "evaluation", "search"]
    searched = {row["label"]: row["seconds"].get("search") for row in times["rows"]}
    assert searched["full"] is searched["prefix"] is None
    (search,) = table.tunings
    assert len(search.rates) == 2
    assert times["unit"] == "s"
    assert searched["lora"] == search.seconds


def test_the_rate_that_a_search_chose_is_in_its_row(tmp_path: Path) -> None:
    """Also where each method has one row, and the rate distinguishes no two of a method."""
    (table,) = compare([examined_sweep(tmp_path)], tests=False).tables
    content = main_table(table)
    assert (content.headings[1], content.settings) == ("lr", 1)
    rates = {line.method: line.cells[0].value for line in content.lines}
    (lora,) = [row for row in table.rows if row.method == "lora"]
    assert rates["lora"] == lora.runs[0].record.config["optim"]["lr"]
    for width in (80, 250):  # in parts, and in one
        console = Console(width=width, file=io.StringIO(), record=True)
        console.print(terminal_tables(compare([examined_sweep(tmp_path / str(width))], tests=False)))
        assert len(re.findall(r" lr\b", console.export_text())) == 1
    unsearched = compare([demo(tmp_path / "other")], tests=False).tables[0]
    assert "lr" not in main_table(unsearched).headings


def test_chances_of_the_front_are_those_of_draws_and_only_where_rows_were_tested(tmp_path: Path) -> None:
    sweep = demo(tmp_path)
    costs = chart_data(compare([sweep]))["tables"][0]["costs"]
    assert [set(cost["chances"]) for cost in costs] == [{"full", "lora", "prefix"}] * 3
    assert all(0 <= chance <= 1 for cost in costs for chance in cost["chances"].values())
    assert costs[0]["chances"]["prefix"] == 1  # the cheapest, by one seed each
    costs = chart_data(compare([sweep], tests=False))["tables"][0]["costs"]
    assert [cost["chances"] for cost in costs] == [{}] * 3


def test_each_run_says_what_it_cost_beside_time(tmp_path: Path) -> None:
    text = Page(report(compare([examined_sweep(tmp_path)], tests=False), tmp_path)).text
    for part in ("1.23e+14 FLOPs", "7,200 J", "0.002 kWh", "12.1 ms", "3.4 ms", "batches of 32", "2 learning rates"):
        assert part in text, part
    assert "4 steps" in text


def test_names_of_parts_are_text_in_page_and_markdown(tmp_path: Path) -> None:
    part = "</th><script>alert(1)</script>|<b>x</b>"
    comparison = compare([examined_sweep(tmp_path, part=part)], tests=False)
    page = Page(report(comparison, tmp_path))
    assert part in page.text
    assert not [tag for tag, _ in page.elements if tag == "b"]
    assert "\\</th\\>\\<script\\>alert(1)\\</script\\>\\|\\<b\\>x\\</b\\>" in markdown(comparison)


def test_markdown_and_json_hold_the_same(tmp_path: Path) -> None:
    comparison = compare([examined_sweep(tmp_path)], tests=False)
    text = markdown(comparison)
    for title in ("### Beyond the test", "### By part of the test split", "### Predicted and measured"):
        assert title in text
    (table,) = json.loads(json_text(comparison, tmp_path))["tables"]
    lora = next(row for row in table["rows"] if row["row"] == "lora")
    assert lora["robustness"]["drop"]["typos"]["n"] == 3
    assert lora["robustness"]["drop"]["width"] is None
    assert lora["robustness"]["general_loss_after"]["mean"] == pytest.approx(3.3)
    assert lora["robustness"]["fit"] == {"fits": 3}
    assert lora["robustness"]["adapter_off"] == {"passed": 3}
    assert lora["values"]["tuning_s"]["mean"] > 0
    assert lora["values"]["memory_error"]["n"] == 3
