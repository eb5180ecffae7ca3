import pytest

from ftlab.data.rows import Roles, Row, data_hash, example_ids, map_rows
from ftlab.errors import DataError

ROLES = Roles(required=("text", "label"), optional=("text_pair",), given=("text", "text_pair"))
COLUMNS = {"text": "review", "text_pair": None, "label": "stars"}


def _row(number: int = 2, **values: object) -> Row:
    return Row(values, f"reviews.csv:{number}")


def test_columns_become_roles() -> None:
    rows = [_row(review="fine", stars=5, other="x"), _row(review="poor", stars=1.0), _row(review="so so", stars=True)]
    mapped, dropped = map_rows(rows, COLUMNS, ROLES, incomplete="error")
    assert [row.values for row in mapped] == [
        {"text": "fine", "label": "5"},
        {"text": "poor", "label": "1"},
        {"text": "so so", "label": "True"},
    ]
    assert dropped == 0


def test_label_zero_is_a_label() -> None:
    assert map_rows([_row(review="poor", stars=0)], COLUMNS, ROLES, incomplete="error")[0][0].values["label"] == "0"


def test_missing_column_names_file_column_and_what_is_there() -> None:
    with pytest.raises(
        DataError, match=r"reviews\.csv:2: there is no column 'stars' .*did you mean star\?.*review, star"
    ):
        map_rows([_row(review="fine", star=5)], COLUMNS, ROLES, incomplete="error")
    with pytest.raises(DataError, match=r"no column 'b' .*or set dataset\.columns\.text_pair=null"):
        map_rows([_row(review="fine", stars=5)], {**COLUMNS, "text_pair": "b"}, ROLES, incomplete="error")


@pytest.mark.parametrize("nothing", [None, "", "  "])
@pytest.mark.parametrize(("column", "role"), [("review", "text"), ("stars", "label")])
def test_incomplete_row_is_named_or_left_out(nothing: str | None, column: str, role: str) -> None:
    rows = [_row(2, review="fine", stars="5"), _row(17, **{"review": "poor", "stars": "1", column: nothing})]
    with pytest.raises(DataError, match=rf"reviews\.csv:17: this row has no {role} \(column '{column}' is empty\)"):
        map_rows(rows, COLUMNS, ROLES, incomplete="error")
    kept, dropped = map_rows(rows, COLUMNS, ROLES, incomplete="drop")
    assert [row.where for row in kept] == ["reviews.csv:2"]
    assert dropped == 1


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"text": "review"}, r"dataset\.columns\.label is not set"),
        ({**COLUMNS, "txt": "review"}, r"dataset\.columns\.txt is no column of this task: did you mean text\?"),
    ],
)
def test_wrong_columns(columns: dict[str, str | None], message: str) -> None:
    with pytest.raises(DataError, match=message):
        map_rows([_row(review="fine", stars=5)], columns, ROLES, incomplete="error")


@pytest.mark.parametrize(
    ("value", "message"),
    [(["a"], "holds a list"), ({"a": 1}, "holds an object"), ("\ud83d", "holds half of a surrogate pair")],
)
def test_what_is_no_text(value: object, message: str) -> None:
    with pytest.raises(DataError, match=rf"reviews\.csv:2: column 'review' {message}"):
        map_rows([_row(review=value, stars=1)], COLUMNS, ROLES, incomplete="error")


def test_ids_are_stable_and_unique() -> None:
    ids = example_ids(["a", "b", "a", "a"])
    assert len(set(ids)) == 4
    assert all(len(one) == 16 and int(one, 16) >= 0 for one in ids)
    assert example_ids(["b", "a"]) == [ids[1], ids[0]]
    assert ids[1] == "e23a696c2d278b39"  # a new value would unpair every record that exists


def test_hash_is_of_the_rows_in_order() -> None:
    first, second = _row(2, text="a", label="x"), _row(3, text="b", label="y")
    digest = data_hash({"train": [first, second], "test": []})
    assert len(digest) == 64
    assert digest == data_hash({"train": [_row(9, label="x", text="a"), second], "test": []})
    others = [
        {"train": [second, first], "test": []},
        {"train": [first], "test": [second]},
        {"train": [first, _row(3, text="b", label="z")], "test": []},
    ]
    assert digest not in map(data_hash, others)
