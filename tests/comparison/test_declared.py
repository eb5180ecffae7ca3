"""Reference and margin, as a sweep declares them and as they are asked for afterwards."""

from pathlib import Path

import pytest

from ftlab.comparison import compare
from ftlab.comparison.declared import Decision, declared_decision, margin_value
from ftlab.core.errors import UserError
from tests.comparison.factory import add_run
from tests.fixtures.refusals import refused


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
