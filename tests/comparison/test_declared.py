"""Reference and margin, as a sweep declares them and as they are asked for afterwards."""

from pathlib import Path

import pytest

from ftlab.comparison import compare
from ftlab.comparison.declared import Decision, declared_decision, margin_value
from ftlab.core.errors import UserError
from tests.comparison.factory import LOSS, add_run
from tests.fixtures.refusals import refused
from tests.fixtures.statements import states


@pytest.mark.parametrize(
    ("margin", "metric", "value"),
    [
        (None, "accuracy", 0.01),
        (None, "topics/macro_f1", 0.01),
        (None, "loss", None),
        (None, "spearman", None),
        (None, "metric_of_a_user", None),
        (0.02, "loss", 0.02),
        ("0.5", "perplexity", 0.5),
        ("1%", "spearman", 0.02),
        (" 2 % ", "bleu", 2.0),
        (0.3, "metric_of_a_user", 0.3),
    ],
)
def test_a_margin_is_in_the_metrics_unit(margin: str | float | None, metric: str, value: float | None) -> None:
    assert margin_value(margin, metric) == (None if value is None else pytest.approx(value))


@pytest.mark.parametrize(
    ("margin", "metric", "named"),
    [
        ("abc", "accuracy", "abc"),
        ("1%", "loss", "loss"),
        ("1%", "metric_of_a_user", "metric_of_a_user"),
        (0, "accuracy", "accuracy"),
        (-0.01, "loss", "loss"),
        (1.0, "accuracy", "accuracy"),
        ("100%", "bleu", "bleu"),
        ("nan", "accuracy", "nan"),
        ("inf", "loss", "inf"),
    ],
)
def test_a_margin_outside_the_metrics_range_is_refused(margin: str | float, metric: str, named: str) -> None:
    with refused(UserError, named):
        margin_value(margin, metric)


def test_what_the_oldest_run_declares_counts(tmp_path: Path) -> None:
    for seed, (reference, margin) in enumerate([("lora", 0.02), ("full", 0.5)]):
        settings = {"compare.reference": reference, "compare.margin": margin}
        add_run(tmp_path, "full", seed=seed, settings=settings)
        add_run(tmp_path, "lora", seed=seed, settings=settings)
    (table,) = compare([tmp_path]).tables
    assert declared_decision(table) == Decision("lora", 0.02)
    assert len(table.rows) == 2  # what is declared makes no other configuration
    assert table.family is not None
    assert table.family.reference == "lora"
    within = table.family.within_margin
    assert within is not None
    assert (within.margin, within.reference, within.is_declared) == (0.02, "lora", True)
    (table,) = compare([tmp_path], margin="0.03").tables
    assert table.family is not None
    within = table.family.within_margin
    assert within is not None
    assert (within.margin, within.is_declared) == (0.03, False)


def test_a_record_without_a_declaration_has_the_defaults(tmp_path: Path) -> None:
    add_run(tmp_path, "full")
    folder = add_run(tmp_path, "lora")
    path = folder / "record.json"
    assert '"compare"' in path.read_text()
    for record in tmp_path.glob("*/record.json"):
        record.write_text(record.read_text().replace('"compare"', '"other"'))
    (table,) = compare([tmp_path]).tables
    assert declared_decision(table) == Decision()


def within_of(folder: Path, **arguments: str) -> tuple[float, str | None, bool]:
    (table,) = compare([folder], **arguments).tables  # type: ignore[arg-type]
    assert table.family is not None
    within = table.family.within_margin
    assert within is not None
    return within.margin, within.reference, within.is_declared


def test_to_ask_for_what_was_declared_is_no_choice_afterwards(tmp_path: Path) -> None:
    declared, default = tmp_path / "declared", tmp_path / "default"
    for method in ("full", "lora", "head"):
        add_run(declared, method, settings={"compare.reference": "lora", "compare.margin": 0.02})
        add_run(default, method)
    assert within_of(declared, margin="2%", reference="lora") == (0.02, "lora", True)
    assert within_of(declared, reference="full") == (0.02, None, True)
    assert within_of(default, margin="0.01") == (0.01, None, True)


def test_a_declared_reference_that_has_no_run_is_not_replaced_in_what_is_said_within_the_margin(tmp_path: Path) -> None:
    for method in ("full", "lora"):
        add_run(tmp_path, method, settings={"compare.reference": "ia3"})
    assert within_of(tmp_path) == (0.01, None, True)


def test_runs_that_declare_different_things_are_told(tmp_path: Path) -> None:
    add_run(tmp_path, "full", settings={"compare.margin": 0.02})
    add_run(tmp_path, "lora", settings={"compare.margin": 0.5, "compare.reference": "full"})
    (table,) = compare([tmp_path]).tables
    assert table.family is not None
    (note,) = (note for note in table.family.notes if "compare.margin" in note)
    states(note, "oldest", "compare.reference=null", "compare.margin=0.02")


def test_a_margin_that_is_possible_for_one_table_alone_is_a_note_of_the_other(tmp_path: Path) -> None:
    for method in ("full", "lora"):
        add_run(tmp_path, method)
        add_run(tmp_path, method, changes={"dataset": "of texts", "columns": LOSS})
    shares, losses = compare([tmp_path], margin="2%").tables
    assert shares.family is not None
    assert shares.family.within_margin is not None
    assert shares.family.within_margin.margin == 0.02
    assert losses.family is not None
    assert losses.family.within_margin is None
    states(" ".join(losses.family.notes), "2%", "loss")


def test_an_impossible_margin_is_refused_where_nothing_is_tested_too(tmp_path: Path) -> None:
    add_run(tmp_path, "full")
    with refused(UserError, "abc"):
        compare([tmp_path], margin="abc")
