from collections.abc import Iterator

import pytest

from ftlab.config.task_kind import Roles
from ftlab.core.errors import DataError
from ftlab.data.rows.mapping import BadRowHandler, map_rows
from ftlab.data.rows.row import BadRow, Row
from tests.fixtures.refusals import refused
from tests.fixtures.statements import states

ROLES = Roles(required=("text", "label"), optional=("text_pair",), inputs=("text", "text_pair"), unjoined=("label",))
COLUMNS = {"text": "review", "text_pair": None, "label": "stars"}


def _row(number: int = 2, **values: object) -> Row:
    return Row(values, f"reviews.csv:{number}")


def _mapped(
    rows: list[Row | BadRow], columns: dict[str, str | None] = COLUMNS, *, skip: bool = False
) -> tuple[list[Row], dict[str, int]]:
    bad = BadRowHandler("skip" if skip else "error")
    kept = list(map_rows(rows, columns, ROLES, bad))
    return kept, dict(bad.dropped)


def test_columns_become_roles() -> None:
    rows = [_row(review="fine", stars=5, other="x"), _row(review="poor", stars=1.0), _row(review="so so", stars=True)]
    mapped, dropped = _mapped(rows)
    assert [row.values for row in mapped] == [
        {"text": "fine", "label": "5"},
        {"text": "poor", "label": "1"},
        {"text": "so so", "label": "True"},
    ]
    assert not dropped


def test_label_zero_is_a_label() -> None:
    assert _mapped([_row(review="poor", stars=0)])[0][0].values["label"] == "0"


def test_missing_column_names_file_column_and_what_is_there() -> None:
    with refused(DataError, "reviews.csv:2", "'stars'", "dataset.columns.label", "mean star?", "review, star"):
        _mapped([_row(review="fine", star=5)])
    with refused(DataError, "'b'", "dataset.columns.text_pair=null"):
        _mapped([_row(review="fine", stars=5)], {**COLUMNS, "text_pair": "b"})


@pytest.mark.parametrize("nothing", [None, "", "  "])
@pytest.mark.parametrize(("column", "role"), [("review", "text"), ("stars", "label")])
def test_incomplete_row_is_named_or_left_out(nothing: str | None, column: str, role: str) -> None:
    rows = [_row(2, review="fine", stars="5"), _row(17, **{"review": "poor", "stars": "1", column: nothing})]
    with refused(DataError, "reviews.csv:17", role, f"'{column}'", "empty", "dataset.on_bad_rows=skip"):
        _mapped(rows)
    kept, dropped = _mapped(rows, skip=True)
    assert [row.where for row in kept] == ["reviews.csv:2"]
    assert dropped == {"incomplete": 1}


@pytest.mark.parametrize(
    ("columns", "culprits"),
    [
        ({"text": "review"}, ("dataset.columns.label",)),
        ({**COLUMNS, "txt": "review"}, ("dataset.columns.txt", "mean text?")),
    ],
)
def test_wrong_columns(columns: dict[str, str | None], culprits: tuple[str, ...]) -> None:
    with refused(DataError, *culprits):
        _mapped([_row(review="fine", stars=5)], columns)


@pytest.mark.parametrize(
    ("value", "kind"),
    [([["a"]], "list"), ({"a": 1}, "object"), ("\ud83d", "surrogate")],
)
def test_what_is_no_text(value: object, kind: str) -> None:
    with refused(DataError, "reviews.csv:2", "'review'", kind):
        _mapped([_row(review=value, stars=1)])


def test_a_text_in_parts_is_joined_and_several_labels_are_not_one() -> None:
    (row,) = _mapped([_row(review=["One.", "Two."], stars=1)])[0]
    assert row.values["text"] == "One. Two."
    with refused(DataError, "'stars'", "list", "text"):
        _mapped([_row(review="fine", stars=["1", "2"])])


def test_a_dotted_path_leads_into_a_value() -> None:
    columns = {"text": "turns.0.said", "label": "meta.kind", "text_pair": None}
    rows = [_row(2, turns=[{"said": "Hi"}], meta={"kind": "x"}), _row(3, turns=[], meta={"kind": "x"})]
    kept, dropped = _mapped(rows, columns, skip=True)
    assert [row.values for row in kept] == [{"text": "Hi", "label": "x"}]
    assert dropped == {"incomplete": 1}
    assert _mapped([_row(**{"a.b": "Hi", "l": 1})], {"text": "a.b", "label": "l"})[0][0].values["text"] == "Hi"
    with refused(DataError, "reviews.csv:2", "'turns.9.said'"):
        _mapped(rows, {**columns, "text": "turns.9.said"})


def test_nan_is_nothing() -> None:
    rows = [_row(2, review="fine", stars=5.0), _row(3, review="poor", stars=float("nan"))]
    with refused(DataError, "reviews.csv:3", "label", "'stars'", "NaN"):
        _mapped(rows)
    assert _mapped(rows, skip=True)[1] == {"incomplete": 1}


def test_rows_are_mapped_one_by_one() -> None:
    def endless() -> Iterator[Row]:
        while True:
            yield _row(review="fine", stars=5)

    rows = map_rows(endless(), COLUMNS, ROLES, BadRowHandler("error"))
    assert next(rows).values == next(rows).values


def test_a_column_may_come_late() -> None:
    rows = [_row(2, review="fine"), BadRow("reviews.csv:3", "no JSON", "x"), _row(4, review="fine", stars=5)]
    kept, dropped = _mapped(rows, skip=True)
    assert [row.where for row in kept] == ["reviews.csv:4"]
    assert dropped == {"incomplete": 1, "no JSON": 1}


def test_bad_rows_are_told_by_their_first_few() -> None:
    bad = BadRowHandler("skip")
    for number in range(5):
        bad.handle(BadRow(f"a.csv:{number}", "odd", "this is odd: mend it"))
    (warning,) = bad.warnings
    states(warning, 5, *(f"a.csv:{number}: this is odd" for number in range(3)), "…")
    assert "a.csv:3" not in warning
    assert "mend it" not in warning
    assert bad.summary() == "odd: 5"
    assert BadRowHandler("skip").warnings == []
