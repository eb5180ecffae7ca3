"""Labels of fastText's files: all of a line, without their prefix."""

from pathlib import Path

import pytest

from ftlab.core.errors import DataError
from ftlab.data.base import DataModule
from ftlab.data.rows.row import Row
from ftlab.data.sources.formats.prefixed_labels import with_prefixed_labels
from tests.data.making import build, dataset
from tests.fixtures.refusals import refused

LINES = [f"__label__pos good {n}\n__label__neg bad {n}\n" for n in range(20)]


def made(path: Path, task: str, lines: list[str], **settings: str) -> DataModule:
    path.write_text("".join(lines), encoding="utf-8")
    return build(dataset(task, {"train": str(path), "format": "labelled"}, **settings))


@pytest.mark.parametrize(
    ("line", "labels", "text"),
    [
        ("__label__a x y", ["a"], "x y"),
        ("__label__a __label__b x", ["a", "b"], "x"),
        ("__label__a,__label__b x", ["a", "b"], "x"),
        ("__label__a x  y __label__b", ["a", "b"], "x  y"),
        ("__label__a a__label__b __label__", ["a"], "a__label__b __label__"),
        ("__label__a __label__a x", ["a"], "x"),
        ("__intent__a __intent__b x __label__c", ["a", "b"], "x __label__c"),
    ],
)
def test_all_labels_of_a_line_are_read(line: str, labels: list[str], text: str) -> None:
    label, rest = line.split(None, 1)
    (row,) = with_prefixed_labels(iter([Row({"label": label, "text": rest}, "a:1")]))
    assert isinstance(row, Row)
    assert row.values == {"label": labels if len(labels) > 1 else labels[0], "labels": labels, "text": text}


@pytest.mark.parametrize(
    "values", [{"label": "pos", "text": "__label__x y"}, {"label": "__label__a", "kind": "b", "text": "c"}]
)
def test_lines_without_a_prefix_stay(values: dict[str, str]) -> None:
    rows = [Row(values, "a:1")]
    assert [*with_prefixed_labels(iter(rows))] == rows


def test_several_labels_are_for_multi_label_data(tmp_path: Path) -> None:
    lines = [*LINES, "__label__pos __label__neg both\n"]
    data = made(tmp_path / "a.txt", "multilabel", lines)
    assert data.task.labels == ("neg", "pos")
    assert {row.values["labels"] for split in data.splits.values() for row in split} == {
        '["neg"]',
        '["pos"]',
        '["neg", "pos"]',
    }
    with refused(DataError, "a.txt:41", "pos, neg", "dataset=multilabel_files"):
        made(tmp_path / "a.txt", "classification", lines)
    assert made(tmp_path / "a.txt", "classification", LINES).task.labels == ("neg", "pos")


def test_a_line_without_a_label_is_named(tmp_path: Path) -> None:
    with refused(DataError, "a.txt:41", "label"):
        made(tmp_path / "a.txt", "classification", [*LINES, "no label here\n"])
