import pytest

from ftlab.data.mapping import BadRows, map_rows
from ftlab.data.rows import BadRow, Roles, Row
from ftlab.errors import DataError

ROLES = Roles(required=("text", "label"), optional=("text_pair",), given=("text", "text_pair"))
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
