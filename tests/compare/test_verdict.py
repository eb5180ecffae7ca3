from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftlab.compare import compare
from ftlab.compare.comparison import Table
from ftlab.compare.verdict import p_text, verdict
from tests.compare.factory import add_run, demo, showcase
from tests.compare.families import family, untested, with_tests


def only(sweep: Path) -> Table:
    (table,) = compare([sweep]).tables
    return replace(table, family=family(table))


def test_one_row_against_another_reads_as_in_the_manual(tmp_path: Path) -> None:
    add_run(tmp_path, "full")
    add_run(tmp_path, "lora")
    table = only(tmp_path)
    assert verdict(table)[0].startswith("lora and full are not distinguishable in test accuracy (p = 0.41);")
    assert verdict(table)[1].startswith("lora trains 1.29 % of the parameters in 0.6")
    assert not [sentence for sentence in verdict(table) if "Holm" in sentence]  # one test needs no correction


def test_with_one_seed_it_is_about_the_trained_models_only(tmp_path: Path) -> None:
    (table,) = with_tests(compare([demo(tmp_path)]), scope="trained models").tables
    assert any("With one seed each, this is about these trained models only" in text for text in verdict(table))
    (table,) = with_tests(compare([tmp_path])).tables
    assert not any("trained model" in text for text in verdict(table))


def test_larger_differences_are_named_first_and_the_rest_is_counted(tmp_path: Path) -> None:
    text = " ".join(verdict(only(showcase(tmp_path))))
    assert text.index("head is 0.1") < text.index("prefix is 0.0") < text.index("ia3 is 0.0")
    assert "1 more differs from it" in text
    assert "p values are corrected for 6 tests (Holm)." in text


def test_what_was_not_tested_is_not_called_alike(tmp_path: Path) -> None:
    table = only(demo(tmp_path))
    assert table.family is not None
    without = [
        replace(contrast, p=None, adjusted=None, note="no predictions were saved.")
        for contrast in table.family.contrasts
    ]
    text = " ".join(verdict(replace(table, family=replace(table.family, contrasts=tuple(without)))))
    assert text == "lora and prefix could not be tested against full: no predictions were saved."


def test_the_cheaper_row_is_named_whichever_is_the_reference(tmp_path: Path) -> None:
    add_run(tmp_path, "full")
    add_run(tmp_path, "lora")
    table = only(tmp_path)
    assert table.family is not None
    (contrast,) = table.family.contrasts
    turned = replace(table.family, reference="lora", contrasts=(replace(contrast, row="full", reference="lora"),))
    assert "lora trains 1.29 % of the parameters in 0.6" in " ".join(verdict(replace(table, family=turned)))


def test_times_of_rows_that_a_warning_sets_apart_are_not_compared(tmp_path: Path) -> None:
    add_run(tmp_path, "full")
    add_run(tmp_path, "lora", settings={"budget.max_length": 128})
    table = only(tmp_path)
    assert any(row.marks for row in table.rows)
    assert "lora trains 1.29 % of the parameters." in verdict(table)


def test_without_tests_nothing_is_said(tmp_path: Path) -> None:
    (table,) = untested(compare([demo(tmp_path)])).tables
    assert verdict(table) == []


@given(st.floats(0, 1))
def test_a_p_value_is_never_zero_and_keeps_its_side_of_the_usual_borders(p: float) -> None:
    text = p_text(p)
    if p < 0.001:
        assert text == "p < 0.001"
    else:
        assert float(text.removeprefix("p = ")) == pytest.approx(p, abs=0.0051)
        assert float(text.removeprefix("p = ")) > 0
