"""Names of labels that are numbers: as set, or in another column."""

from typing import Any

import pytest

from ftlab.data.rows.label_names import NameColumnFinder, name_of
from ftlab.data.rows.remarks import Remarks
from ftlab.data.rows.row import Row, UnusableValue
from tests.fixtures.statements import states

COLUMNS = {"text": "text", "label": "label"}


def doubts(rows: list[dict[str, Any]]) -> list[str]:
    remarks = Remarks()
    values = [Row({"text": f"t{n}", **row}, "") for n, row in enumerate(rows)]
    assert [*NameColumnFinder("label", COLUMNS).watch(values, remarks)] == values
    return remarks.doubts


def test_a_number_stands_for_its_name() -> None:
    names = ["no", "yes"]
    assert [name_of(label, names) for label in ("1", "0.0", "yes", "")] == ["yes", "no", "yes", ""]
    assert name_of("7", None) == "7"
    for label in ("2", "-1", "maybe"):
        with pytest.raises(UnusableValue, match=r"dataset\.label_names"):
            name_of(label, names)


@pytest.mark.parametrize("number", [int, str, float])
def test_a_column_of_names_is_named(number: type) -> None:
    (doubt,) = doubts([{"label": number(n % 2), "id": str(n), "label_text": ["no", "yes"][n % 2]} for n in range(10)])
    states(doubt, "'label_text'", "dataset.columns.label=label_text")


@pytest.mark.parametrize(
    "rows",
    [
        [{"label": n % 2, "source": "ab"[n // 5]} for n in range(10)],  # says something else
        [{"label": n % 4, "half": "ab"[n % 2]} for n in range(12)],  # names several labels alike
        [{"label": n, "title": f"title {n}"} for n in range(10)],  # ids of the rows
        [{"label": "ab"[n % 2], "name": "AB"[n % 2]} for n in range(10)],  # names already
        [{"label": n % 2} for n in range(10)],
        [{"label": n % 2, "copy": str(n % 2)} for n in range(10)],
        [{"label": n % 2, "list": [n % 2]} for n in range(10)],
    ],
)
def test_other_columns_are_no_names(rows: list[dict[str, Any]]) -> None:
    assert not doubts(rows)
