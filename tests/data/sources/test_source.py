from pathlib import Path
from typing import Any

import pytest

from ftlab.core.errors import DataError, UserError
from ftlab.data.rows.row import Row, Splits
from ftlab.data.sources.source import read_source
from tests.fixtures.refusals import refused

HERE = "tests.data.sources.test_source"


def some(splits: list[str], extra: dict[str, Any] | None = None) -> Splits:
    assert type(extra) in (dict, type(None))  # plain values, no ListConfig or DictConfig
    return {split: [Row({"text": split}, f"{split}:1")] for split in splits}


def nothing(**anything: Any) -> Splits:
    return {"train": [], **anything}


def refusing() -> Splits:
    raise UserError("the server is closed: come back tomorrow.")


def failing() -> Splits:
    raise ZeroDivisionError


def test_order_of_splits_is_always_the_same() -> None:
    source = {"_target_": f"{HERE}.some", "splits": ["test", "train"], "extra": {"a": [1]}}
    assert list(read_source(source)) == ["train", "test"]


def test_relative_paths_start_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.csv").write_text("text\nhello\n")
    monkeypatch.chdir(tmp_path)
    assert (
        next(iter(read_source({"_target_": "ftlab.data.sources.files.read", "train": "mine.csv"})["train"])).where
        == "mine.csv:2"
    )


@pytest.mark.parametrize(
    ("source", "culprits"),
    [
        ({}, ("dataset.source._target_",)),
        ({"_target_": "ftlab.data.sources.files.reed"}, ("dataset.source._target_=ftlab.data.sources.files.reed",)),
        ({"_target_": "nowhere.read"}, ("dataset.source._target_=nowhere.read",)),
        ({"_target_": "ftlab.data.sources.files.read"}, ("dataset.source.train=",)),
        ({"_target_": "ftlab.data.sources.files.read", "train": "???"}, ("dataset.source.train=",)),
        ({"_target_": "ftlab.data.sources.files.read", "trian": "a"}, ("dataset.source.trian", "mean train?")),
        ({"_target_": f"{HERE}.some", "splits": ["test"]}, (f"{HERE}.some", "'train'")),
        ({"_target_": f"{HERE}.nothing"}, (f"{HERE}.nothing", "'train'")),
        ({"_target_": f"{HERE}.some", "splits": ["train", "valid"]}, (f"{HERE}.some", "'valid'", "mean val?")),
        ({"_target_": f"{HERE}.nothing", "train": [1], "val": []}, (f"{HERE}.nothing", "no val rows")),
        ({"_target_": f"{HERE}.refusing"}, ("the server is closed: come back tomorrow.",)),
    ],
)
def test_a_wrong_source_gets_one_sentence(source: dict[str, Any], culprits: tuple[str, ...]) -> None:
    with refused(UserError, *culprits) as caught:
        read_source(source)
    assert "\n" not in str(caught.value)


def test_a_bug_in_a_source_keeps_its_traceback() -> None:
    with refused(Exception, f"{HERE}.failing") as caught:
        read_source({"_target_": f"{HERE}.failing"})
    assert not isinstance(caught.value, DataError)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
