import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftlab.comparison import compare
from ftlab.comparison.render.findings import findings, p_text
from ftlab.comparison.tables import Table
from tests.comparison.factory import add_run, demo, showcase
from tests.comparison.families import family, untested, with_tests
from tests.fixtures.statements import states


def only(sweep: Path) -> Table:
    (table,) = compare([sweep]).tables
    return replace(table, family=family(table))


def test_one_row_against_another_reads_as_in_the_manual(tmp_path: Path) -> None:
    add_run(tmp_path, "full")
    add_run(tmp_path, "lora")
    table = only(tmp_path)
    as_good, still_open, alike, cheaper = findings(table)  # and no correction, which one test needs not
    states(as_good, "full", "best", "0.01", "accuracy")
    states(still_open, "lora", "9 seeds")
    states(alike, "lora", "full", "accuracy", "p = 0.41")
    states(cheaper, "lora", "1.29 %")
    assert "time" not in cheaper  # which varies from run to run: one of each says nothing


def test_with_one_seed_it_is_about_the_trained_models_only(tmp_path: Path) -> None:
    (table,) = with_tests(compare([demo(tmp_path)]), scope="trained models").tables
    assert any("trained models" in text for text in findings(table))
    (table,) = with_tests(compare([tmp_path])).tables
    assert findings(table)
    assert not any("trained model" in text for text in findings(table))


def test_larger_differences_are_named_first_and_the_rest_is_counted(tmp_path: Path) -> None:
    text = " ".join(findings(only(showcase(tmp_path))))
    assert re.search(r"\bhead\b.*\b0\.1\d+\b.*\bprefix\b.*\b0\.0\d+\b.*\bia3\b.*\b0\.0\d+\b.*\b1 more\b", text)
    states(text, "6 tests", "Holm")


def test_what_was_not_tested_is_not_called_alike(tmp_path: Path) -> None:
    table = only(demo(tmp_path))
    assert table.family is not None
    without = [
        replace(contrast, p=None, adjusted=None, note="no predictions were saved.")
        for contrast in table.family.contrasts
    ]
    text = " ".join(findings(replace(table, family=replace(table.family, contrasts=tuple(without)))))
    states(text, "lora", "prefix", "full", "no predictions were saved")
    assert "p = " not in text


def test_without_tests_nothing_is_said(tmp_path: Path) -> None:
    (table,) = untested(compare([demo(tmp_path)])).tables
    assert findings(table) == []


@given(st.floats(0, 1))
def test_a_p_value_is_never_zero_and_keeps_its_side_of_the_usual_borders(p: float) -> None:
    text = p_text(p)
    if p < 0.001:
        assert text == "p < 0.001"
    else:
        assert float(text.removeprefix("p = ")) == pytest.approx(p, abs=0.0051)
        assert float(text.removeprefix("p = ")) > 0
