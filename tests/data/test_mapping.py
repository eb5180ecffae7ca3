from collections.abc import Iterator

import pytest

from ftlab.data.mapping import BadRows, map_rows
from ftlab.data.rows import BadRow, Roles, Row
from ftlab.errors import DataError

ROLES = Roles(required=("text", "label"), optional=("text_pair",), given=("text", "text_pair"), whole=("label",))
COLUMNS = {"text": "review", "text_pair": None, "label": "stars"}


def _row(number: int = 2, **values: object) -> Row:
    return Row(values, f"reviews.csv:{number}")


def _mapped(
    rows: list[Row | BadRow], columns: dict[str, str | None] = COLUMNS, *, skip: bool = False
) -> tuple[list[Row], dict[str, int]]:
    bad = BadRows("skip" if skip else "error")
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
    with pytest.raises(
        DataError, match=r"reviews\.csv:2: there is no column 'stars' .*did you mean star\?.*review, star"
    ):
        _mapped([_row(review="fine", star=5)])
    with pytest.raises(DataError, match=r"no column 'b' .*or set dataset\.columns\.text_pair=null"):
        _mapped([_row(review="fine", stars=5)], {**COLUMNS, "text_pair": "b"})


@pytest.mark.parametrize("nothing", [None, "", "  "])
@pytest.mark.parametrize(("column", "role"), [("review", "text"), ("stars", "label")])
def test_incomplete_row_is_named_or_left_out(nothing: str | None, column: str, role: str) -> None:
    rows = [_row(2, review="fine", stars="5"), _row(17, **{"review": "poor", "stars": "1", column: nothing})]
    with pytest.raises(DataError, match=rf"reviews\.csv:17: this row has no {role} \(column '{column}' is empty\)"):
        _mapped(rows)
    kept, dropped = _mapped(rows, skip=True)
    assert [row.where for row in kept] == ["reviews.csv:2"]
    assert dropped == {"incomplete": 1}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"text": "review"}, r"dataset\.columns\.label is not set"),
        ({**COLUMNS, "txt": "review"}, r"dataset\.columns\.txt is no column of this task: did you mean text\?"),
    ],
)
def test_wrong_columns(columns: dict[str, str | None], message: str) -> None:
    with pytest.raises(DataError, match=message):
        _mapped([_row(review="fine", stars=5)], columns)


@pytest.mark.parametrize(
    ("value", "message"),
    [([["a"]], "holds a list"), ({"a": 1}, "holds an object"), ("\ud83d", "holds half of a surrogate pair")],
)
def test_what_is_no_text(value: object, message: str) -> None:
    with pytest.raises(DataError, match=rf"reviews\.csv:2: column 'review' {message}"):
        _mapped([_row(review=value, stars=1)])


def test_a_text_in_parts_is_joined_and_several_labels_are_not_one() -> None:
    (row,) = _mapped([_row(review=["One.", "Two."], stars=1)])[0]
    assert row.values["text"] == "One. Two."
    with pytest.raises(DataError, match=r"column 'stars' holds a list where text is needed"):
        _mapped([_row(review="fine", stars=["1", "2"])])


def test_a_dotted_path_leads_into_a_value() -> None:
    columns = {"text": "turns.0.said", "label": "meta.kind", "text_pair": None}
    rows = [_row(2, turns=[{"said": "Hi"}], meta={"kind": "x"}), _row(3, turns=[], meta={"kind": "x"})]
    kept, dropped = _mapped(rows, columns, skip=True)
    assert [row.values for row in kept] == [{"text": "Hi", "label": "x"}]
    assert dropped == {"incomplete": 1}
    assert _mapped([_row(**{"a.b": "Hi", "l": 1})], {"text": "a.b", "label": "l"})[0][0].values["text"] == "Hi"
    with pytest.raises(DataError, match=r"reviews\.csv:2: there is no column 'turns\.9\.said'"):
        _mapped(rows, {**columns, "text": "turns.9.said"})


def test_nan_is_nothing() -> None:
    rows = [_row(2, review="fine", stars=5.0), _row(3, review="poor", stars=float("nan"))]
    with pytest.raises(DataError, match=r"reviews\.csv:3: this row has no label \(column 'stars' holds NaN\)"):
        _mapped(rows)
    assert _mapped(rows, skip=True)[1] == {"incomplete": 1}


def test_rows_are_mapped_one_by_one() -> None:
    def endless() -> Iterator[Row]:
        while True:
            yield _row(review="fine", stars=5)

    rows = map_rows(endless(), COLUMNS, ROLES, BadRows("error"))
    assert next(rows).values == next(rows).values


def test_a_column_may_come_late() -> None:
    rows = [_row(2, review="fine"), BadRow("reviews.csv:3", "no JSON", "x"), _row(4, review="fine", stars=5)]
    kept, dropped = _mapped(rows, skip=True)
    assert [row.where for row in kept] == ["reviews.csv:4"]
    assert dropped == {"incomplete": 1, "no JSON": 1}


def test_bad_rows_are_told_by_their_first_few() -> None:
    bad = BadRows("skip")
    for number in range(5):
        bad.meet(BadRow(f"a.csv:{number}", "odd", "this is odd: mend it"))
    assert bad.warnings == [
        "5 bad rows were left out: a.csv:0: this is odd; a.csv:1: this is odd; a.csv:2: this is odd; …"
    ]
    assert bad.told() == "odd: 5"
    assert BadRows("skip").warnings == []
