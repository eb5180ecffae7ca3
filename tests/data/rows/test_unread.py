"""Columns and keys of messages that hold something: read, or named with their counts over all rows."""

from pathlib import Path
from typing import Any

import pytest

from ftlab.data.base import DataModule
from ftlab.data.rows import row_store
from ftlab.data.rows.turns import Turn, conversation_to_json
from ftlab.data.sources import reading
from tests.data.making import build, dataset, jsonl
from tests.data.rows.test_turns import said

QUESTIONS = [{"instruction": f"q {n}", "output": f"a {n}"} for n in range(150)]
NONE = {"prompt": None, "response": None}


def _built(path: Path, rows: list[dict[str, Any]], **settings: Any) -> DataModule:
    return build(dataset("instruction", {"train": jsonl(path, rows)}, **{"columns": NONE, **settings}))


def _late(**extra: Any) -> list[dict[str, Any]]:
    return [*QUESTIONS, *({**row, "instruction": f"late {n}", **extra} for n, row in enumerate(QUESTIONS[:50]))]


def _stored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FTLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(reading, "MAX_IN_MEMORY", 100)
    monkeypatch.setattr(row_store, "MAX_IN_MEMORY", 100)


@pytest.mark.parametrize("stored", [False, True])
def test_a_column_that_first_occurs_late_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stored: bool) -> None:
    if stored:
        _stored(monkeypatch, tmp_path)
    rows = _late(history=[["hi", "hello"]], system="Be brief.")
    for _ in range(2):  # the second time from the cache
        data = _built(tmp_path / "a.jsonl", rows)
        all_rows = [row for split in data.splits.values() for row in split]
        late = [row.values for row in all_rows if row.values["prompt"].startswith("late")]
        assert len(late) == 50
        expected = {"system": "Be brief.", "history": conversation_to_json(said("user: hi", "assistant: hello"))}
        assert all({role: values[role] for role in expected} == expected for values in late)
        others = [row.values for row in all_rows if not row.values["prompt"].startswith("late")]
        assert len(others) == 150
        assert all(values.keys() == {"prompt", "response"} for values in others)
        conversation = data.conversation(late[0])  # type: ignore[attr-defined]
        assert conversation.system == "Be brief."
        assert conversation.turns[0] == Turn("hi", "hello")
        assert data.origin.columns["history"] == "history"
        assert "history: history" in data.origin.notes[0]


@pytest.mark.parametrize("stored", [False, True])
def test_what_is_not_read_is_counted_over_all_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stored: bool
) -> None:
    if stored:
        _stored(monkeypatch, tmp_path)
    turns = [{"role": "user", "content": "a", "name": "Ann"}, {"role": "assistant", "content": "b", "tool_calls": None}]
    rows = [{"messages": said(f"user: {n}", "assistant: x"), "id": n + 1, "tools": []} for n in range(120)]
    rows += [{"messages": turns, "id": 7, "thoughts": [0, 1], "system": None}] * 3
    for _ in range(2):
        data = _built(tmp_path / "a.jsonl", rows, columns={"messages": None, **NONE})
        (note,) = [note for note in data.origin.notes if note.startswith("not read")]
        assert "column id (123 of 123 rows)" in note
        assert "key name of messages (3 of 123 rows)" in note
        (warning,) = [warning for warning in data.warnings if "thoughts" in warning]
        assert "column thoughts (3 of 123 rows)" in warning
        assert "tool" not in note + warning
        assert not data.origin.warnings  # no row is bad


def test_columns_that_are_set_are_all_that_is_read(tmp_path: Path) -> None:
    columns = {"prompt": "instruction", "response": "output"}
    data = _built(tmp_path / "a.jsonl", _late(system="Be brief."), columns=columns)
    assert any("column system (50 of 200 rows)" in warning for warning in data.warnings)
    assert all("system" not in row.values for row in data.splits["train"])
    data = _built(tmp_path / "a.jsonl", _late(system="Be brief."), columns={**columns, "system": "system"})
    assert not any("column system" in warning for warning in data.warnings)
    assert any(row.values.get("system") == "Be brief." for row in data.splits["train"])


def test_a_second_system_prompt_is_named(tmp_path: Path) -> None:
    rows = [
        {"messages": said("system: one", f"user: {n}", "assistant: x"), "system": "two" if n < 5 else "one"}
        for n in range(40)
    ]
    data = _built(tmp_path / "a.jsonl", rows, columns={"messages": "messages", **NONE})
    (warning,) = [warning for warning in data.warnings if "system" in warning]
    assert "column system (5 of 40 rows)" in warning


def _warning(path: Path, rows: list[dict[str, Any]], **settings: Any) -> str:
    (warning,) = [line for line in _built(path, rows, **settings).warnings if "not read" in line]
    return warning


def test_a_remedy_is_one_that_exists(tmp_path: Path) -> None:
    """A key of a message and a column without a role cannot be named in dataset.columns."""
    columns = {"messages": None, **NONE}
    for key, remedy in (("mask", "weight: 0"), ("cot", "reasoning_content"), ("documents", "content")):
        answer = {"role": "assistant", "content": "b", key: "x"}
        rows: list[dict[str, Any]] = [{"messages": [*said(f"user: {n}"), answer]} for n in range(20)]
        warning = _warning(tmp_path / f"{key}.jsonl", rows, columns=columns)
        assert f"key {key}" in warning.partition(";")[2]
        assert remedy in warning
        assert "dataset.columns" not in warning
    for column in ("loss", "system_prompt", "history"):  # the second system prompt, and roles that are not free
        rows = [{"messages": said("system: s", f"user: {n}", "assistant: b"), column: "x"} for n in range(20)]
        warning = _warning(tmp_path / f"{column}.jsonl", rows, columns=columns)
        assert f"remove column {column}" in warning
        assert "dataset.columns" not in warning


@pytest.mark.parametrize(
    ("column", "setting"),
    [("system_message", "+dataset.columns.system=system_message"), ("context", "dataset.columns.input=context")],
)
def test_the_role_of_a_column_is_named_and_can_be_set(tmp_path: Path, column: str, setting: str) -> None:
    rows = [{**row, column: "x"} for row in QUESTIONS[:20]]
    assert f"set {setting}," in _warning(tmp_path / "a.jsonl", rows)
    role = setting.partition("=")[0].rpartition(".")[2]
    data = _built(tmp_path / "a.jsonl", rows, columns={**NONE, role: column})
    assert not [line for line in data.warnings if "not read" in line]
    assert all(row.values[role] == "x" for row in data.splits["train"])
