"""Reader of peft's result files, which may be anybody's."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftlab.core.errors import UserError
from ftlab.importers.peft_results import PeftResult, read_result, read_results
from tests.fixtures.refusals import refused
from tests.importers.peft_files import result, write_result

FIELDS = [("run_info", name) for name in result()["run_info"]] + [("train_info", n) for n in result()["train_info"]]


def test_what_a_result_says_is_read(tmp_path: Path) -> None:
    read = read_result(write_result(tmp_path, result()))
    assert read is not None
    assert read.train_info.test.accuracy == 660 / 1319
    assert read.dataset_commits == {"metamath": "bb", "gsm8k": "cc1"}


def test_memory_has_another_name_in_older_files(tmp_path: Path) -> None:
    content = result()
    content["train_info"]["cuda_memory_max"] = content["train_info"].pop("accelerator_memory_max")
    del content["train_info"]["num_trainable_params"]
    read = read_result(write_result(tmp_path, content))
    assert read is not None
    assert (read.train_info.peak_memory_bytes, read.train_info.num_trainable_params) == (2_000_000_000, None)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", "{}", '{"run_info": 1}', "[" * 100_000, '{"a":' + "9" * 5000 + "}"]
)
def test_other_files_are_skipped(text: str, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text(text, encoding="utf-8")
    write_result(tmp_path, result())
    results = read_results([tmp_path])
    assert len(results.files) == 1
    assert [path.name for path in results.skipped] == ["other.json"]


def test_what_is_too_large_or_a_pipe_is_skipped(tmp_path: Path) -> None:
    large = result() | {"more": "x" * 2_000_000}
    assert read_result(write_result(tmp_path, large)) is None
    os.mkfifo(tmp_path / "pipe.json")
    assert read_result(tmp_path / "pipe.json") is None


@pytest.mark.parametrize(
    ("part", "field", "value"),
    [
        ("run_info", "experiment_name", "x" * 201),
        ("run_info", "created_at", "2026-01-02T03:04:05"),  # no time zone
        ("run_info", "total_time", float("nan")),
        ("run_info", "train_config", {"model_id": "m"}),
        ("train_info", "status", "fine"),
        ("train_info", "train_time", -1),
        ("train_info", "num_total_params", 10**30),
        ("train_info", "metrics", [{"test accuracy": 47.8}]),
        ("train_info", "metrics", [{"valid accuracy": 0.5}]),
    ],
)
def test_a_wrong_field_is_named(part: str, field: str, value: Any, tmp_path: Path) -> None:
    content = result()
    path = write_result(tmp_path, content)
    content[part][field] = value
    path.write_text(json.dumps(content), encoding="utf-8")
    with refused(UserError, path, f"{part}.{field}"):
        read_results([tmp_path])


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with refused(UserError, tmp_path, "method_comparison"):
        read_results([tmp_path])
    with refused(UserError, tmp_path / "none", "folder"):
        read_results([tmp_path / "none"])


def test_a_run_in_two_states_of_the_table_is_one_run(tmp_path: Path) -> None:
    write_result(tmp_path / "old", result("lora/a"))
    write_result(tmp_path / "new", result("lora/a"))
    write_result(tmp_path / "new", result("lora/b"))
    results = read_results([tmp_path / "old", tmp_path / "new"])
    assert [(file.result.run_info.experiment_name, file.campaign) for file in results.files] == [
        ("lora/a", 0),
        ("lora/b", 1),
    ]
    assert len(results.repeated) == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)


@given(place=st.sampled_from(FIELDS), value=JSON)
def test_no_value_of_a_field_breaks_the_reader(place: tuple[str, str], value: Any, tmp_path_factory: Any) -> None:
    content = result()
    path = write_result(tmp_path_factory.mktemp("fuzz"), content)
    content[place[0]][place[1]] = value
    path.write_text(json.dumps(content), encoding="utf-8")
    with suppress(UserError):  # any other error is a failure
        assert isinstance(read_result(path), PeftResult)
