from pathlib import Path
from typing import Any

import pytest

from ftlab.data.rows import Row, Splits
from ftlab.data.source import read_source
from ftlab.errors import DataError, UserError

HERE = "tests.data.test_source"


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
        next(iter(read_source({"_target_": "ftlab.data.files.read", "train": "mine.csv"})["train"])).where
        == "mine.csv:2"
    )


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({}, r"dataset\.source\._target_ is not set"),
        ({"_target_": "ftlab.data.files.reed"}, r"_target_=ftlab\.data\.files\.reed is no function"),
        ({"_target_": "nowhere.read"}, r"_target_=nowhere\.read is no function"),
        ({"_target_": "ftlab.data.files.read"}, r"dataset\.source\.train is not set"),
        ({"_target_": "ftlab.data.files.read", "train": "???"}, r"dataset\.source\.train is not set"),
        ({"_target_": "ftlab.data.files.read", "trian": "a"}, r"dataset\.source\.trian .*did you mean train\?"),
        ({"_target_": f"{HERE}.some", "splits": ["test"]}, "returned no training rows"),
        ({"_target_": f"{HERE}.nothing"}, "returned no training rows"),
        ({"_target_": f"{HERE}.some", "splits": ["train", "valid"]}, "a split 'valid': did you mean val"),
        ({"_target_": f"{HERE}.nothing", "train": [1], "val": []}, "returned no val rows"),
        ({"_target_": f"{HERE}.refusing"}, "^the server is closed: come back tomorrow.$"),
    ],
)
def test_a_wrong_source_gets_one_sentence(source: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read_source(source)
    assert "\n" not in str(caught.value)


def test_a_bug_in_a_source_keeps_its_traceback() -> None:
    with pytest.raises(Exception, match="failing") as caught:
        read_source({"_target_": f"{HERE}.failing"})
    assert not isinstance(caught.value, DataError)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
