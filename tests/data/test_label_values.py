"""Labels of a cell: lists, texts of lists, lists of 0 and 1, and labels that are missing values."""

from pathlib import Path
from typing import Any

import pytest

from ftlab.core.errors import DataError
from ftlab.data.base import DataModule
from ftlab.data.label_values import is_multi_hot, label_list, single_label
from ftlab.data.rows.row import UnusableValue
from tests.data.making import build, dataset, jsonl
from tests.fixtures.refusals import refused
from tests.fixtures.statements import states

HOT = [[n % 2, int(n % 3 == 0), int(n % 5 == 0)] for n in range(60)]


def labels(folder: Path, values: list[Any], **settings: Any) -> DataModule:
    rows = [{"text": f"t{n}", "labels": value} for n, value in enumerate(values)]
    return build(dataset("multilabel", {"train": jsonl(folder / "a.jsonl", rows)}, **settings))


def classes(folder: Path, values: list[Any], **settings: Any) -> DataModule:
    rows = [{"text": f"t{n}", "label": value} for n, value in enumerate(values)]
    return build(dataset("classification", {"train": jsonl(folder / "a.jsonl", rows)}, **settings))


@pytest.mark.parametrize("write", [list, lambda row: [*map(bool, row)], lambda row: [*map(float, row)], str])
def test_lists_of_0_and_1_are_labels_by_their_place(write: Any, tmp_path: Path) -> None:
    data = labels(tmp_path, [write(row) for row in HOT], label_names=["a", "b", "c"])
    names = {row.values["text"]: row.values["labels"] for split in data.splits.values() for row in split}
    assert (names["t0"], names["t1"], names["t2"]) == ('["b", "c"]', '["a"]', "[]")
    assert not data.warnings
    assert labels(tmp_path, [[1, 0, 0], [0, 1, 0]] * 20, label_names=["c", "b", "a"]).task.labels == ("c", "b", "a")
    unnamed = labels(tmp_path, [write(row) for row in HOT])
    assert unnamed.task.labels == ("0", "1", "2")
    states(unnamed.warnings[0], "'labels'", 3, "dataset.label_names")


def test_a_list_of_another_length_among_them_is_named(tmp_path: Path) -> None:
    with refused(DataError, "a.jsonl:10", "2 values", "3 labels"):
        labels(tmp_path, [*HOT[:9], [1, 0], *HOT[9:]])
    with refused(DataError, "a.jsonl:1", "3 values", "2 labels", "dataset.label_names"):
        labels(tmp_path, HOT, label_names=["a", "b"])


@pytest.mark.parametrize(
    ("values", "hot"),
    [
        (HOT, True),
        ([["1", "0", "0"]], True),
        ([[0, 1], [0, 1]], False),  # may be ids
        ([[0, 1], [1, 0]], True),  # ids are not in both orders
        ([[-1, 0, 1], [1, 0, 1]], True),  # with a missing value
        ([[-1, 0], [1]], False),
        ([[0, 1], [1, 1]], True),
        ([[0, 1, 2], [0, 0, 1]], False),
        ([[0], [1], [1]], False),
        ([["a", "b"]], False),
        ([[], None], False),
    ],
)
def test_lists_of_ids_name_none_twice(values: list[Any], hot: bool) -> None:
    assert is_multi_hot(values) == hot


def test_numbers_of_labels_become_names(tmp_path: Path) -> None:
    data = labels(tmp_path, [[n % 3] for n in range(60)], label_names=["a", "b", "c"])
    assert data.task.labels == ("a", "b", "c")
    assert classes(tmp_path, [n % 2 for n in range(60)], label_names=["no", "yes"]).task.labels == ("no", "yes")
    with refused(DataError, "a.jsonl:3", "'2'", "dataset.label_names"):
        classes(tmp_path, [n % 3 for n in range(60)], label_names=["no", "yes"])


@pytest.mark.parametrize("several", [["a", "b"], "['a', 'b']", '["a", "b"]', "['a' 'b']", [0, 1]])
def test_several_labels_where_one_is_needed_are_refused(several: Any, tmp_path: Path) -> None:
    with refused(DataError, "a.jsonl:3", "'label'", "2 labels", "dataset=multilabel_files"):
        classes(tmp_path, ["a", "b", several, *"ab" * 20])


def test_the_only_1_of_a_list_is_the_label_at_its_place() -> None:
    assert single_label([0, 1, 0], ["a", "b", "c"]) == "b"
    assert single_label("[1. 0. 0.]", ["a", "b", "c"]) == "a"
    with refused(UnusableValue, "[1, 1, 0]", "dataset=multilabel_files"):
        single_label([1, 1, 0], ["a", "b", "c"])


def test_flags_in_an_object_are_labels_by_their_keys() -> None:
    assert label_list({"a": 1, "b": 0, "c": True}, None) == ["a", "c"]


def test_one_label_in_a_list_is_that_label() -> None:
    assert [single_label(value, None) for value in (["a"], "['a']", "[spam]", "a", 1.0, None)] == [
        *("a", "a", "[spam]", "a", "1", "")
    ]
    assert single_label({"no": 0, "yes": 1}, None) == "yes"


def test_what_is_implausible_is_in_the_warnings_of_the_data_once(tmp_path: Path) -> None:
    data = classes(tmp_path, [*["ham", "spam"] * 30, "nan"])
    assert sum("'nan'" in warning for warning in data.warnings) == 1
    rows = [{"text": f"t{n}", "label": n % 2, "label_text": "ny"[n % 2]} for n in range(60)]
    source = {split: jsonl(tmp_path / f"{split}.jsonl", rows) for split in ("train", "val", "test")}
    data = build(dataset("classification", source))
    assert sum("label_text" in warning for warning in data.warnings) == 1
