"""comparison.tex and comparison.json."""

import json
import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ftlab.comparison import compare
from ftlab.comparison.render.json_file import json_text
from ftlab.comparison.render.latex import escape_latex, latex
from ftlab.record import Metric
from tests.comparison.factory import add_run, hostile, showcase
from tests.comparison.families import with_tests
from tests.fixtures.statements import states


def test_latex_is_a_booktabs_table_with_as_many_cells_in_each_row(tmp_path: Path) -> None:
    text = latex(with_tests(compare([showcase(tmp_path)])))
    assert all(f"\\{name}rule" in text for name in ("top", "mid", "bottom"))
    rows = [line for line in text.splitlines() if line.endswith("\\\\")]
    assert len(rows) == 1 + 7 + 2
    assert {len(re.findall(r"(?<!\\)&", line)) for line in rows} == {12}
    assert "{[}0.940, 0.966{]}" in text
    assert text.count("\\begin{") == text.count("\\end{") == 2


def test_latex_sets_every_name_as_it_is_written(tmp_path: Path) -> None:
    hostile(tmp_path)
    add_run(tmp_path, "50%_of&it#{}\\input{x}", like="lora")
    text = latex(compare([tmp_path]))
    assert "50\\%\\_of\\&it\\#\\{\\}\\textbackslash{}input\\{x\\}" in text
    assert "中文" in text


@given(st.text(max_size=40))
def test_no_sign_keeps_its_meaning_for_tex(text: str) -> None:
    left = re.sub(r"\\[{}&%$#_]|\\text\w+\{\}|\$\\\w+\$|\{\[\}|\{\]\}", "", escape_latex(text))
    assert not re.search(r"[\\{}&%$#_^<>|\[\]]", left)


def test_json_holds_rows_values_intervals_and_contrasts(tmp_path: Path) -> None:
    comparison = with_tests(compare([showcase(tmp_path / "sweep")]))
    content = json.loads(json_text(comparison, tmp_path))
    assert (content["schema"], content["version"]) == ("ftlab-comparison", 2)
    (table,) = content["tables"]
    full = table["rows"][0]
    assert full["row"] == "full"
    assert len(full["values"]["accuracy"]["by_seed"]) == full["values"]["accuracy"]["n"] == 3
    assert full["interval"]["level"] == 0.95
    assert full["against_reference"] is None  # it is the reference
    assert full["within_margin"]["verdict"] == "as good"
    assert table["family"]["margin"] == {"value": 0.01, "reference": None, "declared": True}
    assert {row["against_reference"] for row in table["rows"][1:]} == {"not told apart", "worse"}
    assert full["runs"][0]["folder"] == "sweep/000_full_seed0"
    assert full["runs"][0]["data_hash"] == "3f2a9c71d04be8566c1f"
    assert len(table["family"]["contrasts"]) == 6
    assert {contrast["different"] for contrast in table["family"]["contrasts"]} == {True, False}
    assert [run["status"] for run in table["without_result"]] == ["failed", "oom"]
    states(table["summary"][0], "full", "best", "0.01", "accuracy")
    assert any(re.search(r"lora lr=0.002.*partial.*full.*p = 0.41", text) for text in table["summary"])


def test_json_says_null_where_there_is_no_number(tmp_path: Path) -> None:
    metrics = {"accuracy": Metric(value=None, n=0, status="no label seen")}
    add_run(tmp_path, "lora", changes={"metrics": {"classification": {"test": metrics}}})
    text = json_text(compare([tmp_path]), tmp_path)
    assert "NaN" not in text
    (table,) = json.loads(text)["tables"]
    assert table["rows"][0]["values"]["accuracy"] is None
    assert table["family"] is None
