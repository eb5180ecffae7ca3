"""Rows without answers, and what is refused of them."""

from pathlib import Path

import pytest

from ftlab.config.groups import DatasetConfig
from ftlab.core.errors import DataError, UserError
from ftlab.data.rows.row import BadRow, Row
from ftlab.inference import inputs as reading
from ftlab.inference.inputs import from_inputs, from_texts, row_keys, usable, without_bad_rows
from tests.fixtures.compose import composed
from tests.fixtures.refusals import refused
from tests.fixtures.user_kinds import KIND, users_kinds


def dataset(name: str, *overrides: str) -> DatasetConfig:
    detected = {
        "text_files": ["dataset.columns.text=text", "dataset.columns.label=label"],
        "token_files": ["dataset.columns.tokens=words", "dataset.columns.tags=tags"],
        "instruction_files": ["dataset.columns.prompt=instruction", "dataset.columns.input=input"],
    }
    return composed(f"dataset={name}", "dataset.source.train=x", *detected[name], *overrides).dataset


def from_file(path: Path, trained: DatasetConfig) -> list[Row]:
    return usable(row.row for row in reading.from_file(path, trained))


def test_bad_rows_can_be_left_out_and_the_others_have_their_numbers(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("id,text\na,one\nb,\nc\nd,four\n", encoding="utf-8")
    with refused(DataError, "rows.csv:3", "'text'", "--on-bad-rows skip"):
        usable((row.row for row in reading.from_file(file, dataset("text_files"))), " or --on-bad-rows skip")
    rows, (warning,) = without_bad_rows(reading.from_file(file, dataset("text_files")), file)
    assert [row.row.values for row in rows if isinstance(row.row, Row)] == [{"text": "one"}, {"text": "four"}]
    assert row_keys(rows) == [{"row": 1, "id": "a"}, {"row": 4, "id": "d"}]
    assert all(part in warning for part in ("2 bad rows", "rows.csv:3", "rows.csv:4"))
    file.write_text("text\none\n", encoding="utf-8")
    rows, warnings = without_bad_rows(reading.from_file(file, dataset("text_files")), file)
    assert (row_keys(rows), warnings) == ([{"row": 1}], [])
    file.write_text("text,n\n ,1\n", encoding="utf-8")
    with refused(DataError, "rows.csv", "rows.csv:2", "'text'"):
        without_bad_rows(reading.from_file(file, dataset("text_files")), file)


def test_a_bad_input_of_a_call_is_marked() -> None:
    first, second = from_inputs(["one", " "], dataset("text_files"))
    assert isinstance(first, Row)
    assert isinstance(second, BadRow)
    assert second.where == "inputs[1]"


def test_columns_are_those_of_the_run(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("id,body,label\n1,one,\n2,two,x\n", encoding="utf-8")
    rows = from_file(file, dataset("text_files", "dataset.columns.text=body"))
    assert [row.values for row in rows] == [{"text": "one"}, {"text": "two"}]


def test_an_input_may_be_empty(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"instruction": "Add.", "input": "1 1"}\n{"instruction": "Stop."}\n', encoding="utf-8")
    rows = from_file(file, dataset("instruction_files"))
    assert [row.values for row in rows] == [{"prompt": "Add.", "input": "1 1"}, {"prompt": "Stop.", "input": ""}]


def test_a_dotted_path_leads_into_a_row(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"turn": {"user": "Add."}, "more": [{"input": "1 1"}]}\n', encoding="utf-8")
    columns = ["dataset.columns.prompt=turn.user", "dataset.columns.input=more.0.input"]
    rows = from_file(file, dataset("instruction_files", *columns))
    assert [row.values for row in rows] == [{"prompt": "Add.", "input": "1 1"}]


def test_a_separator_is_that_of_files_alike(tmp_path: Path) -> None:
    trained = dataset("text_files", "dataset.source.train=a.csv", 'dataset.source.separator=";"')
    (tmp_path / "rows.csv").write_text("n;text\n1;one, two\n", encoding="utf-8")
    (tmp_path / "rows.tsv").write_text("n\ttext\n1\tone; two\n", encoding="utf-8")
    assert from_file(tmp_path / "rows.csv", trained)[0].values == {"text": "one, two"}
    assert from_file(tmp_path / "rows.tsv", trained)[0].values == {"text": "one; two"}
    labelled = ["dataset.source.train=a.csv", "dataset.source.format=labelled", 'dataset.source.separator=": "']
    (tmp_path / "b.csv").write_text("n,text\n1,one\n", encoding="utf-8")
    assert from_file(tmp_path / "b.csv", dataset("text_files", *labelled))[0].values == {"text": "one"}


def test_a_text_file_has_a_text_a_line(tmp_path: Path) -> None:
    file = tmp_path / "rows.txt"
    file.write_text("one\ntwo\n\nthree\n", encoding="utf-8")
    assert [row.values["text"] for row in from_file(file, dataset("text_files"))] == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("name", "content", "culprits"),
    [
        ("rows.csv", "txt\none\n", ("rows.csv", "'text'", "txt")),
        ("rows.csv", "text,n\none,1\n ,2\n", ("rows.csv:3", "'text'")),
        ("rows.xml", "<a/>", ("rows.xml",)),
        (None, "", ("none.csv",)),
        ("rows.jsonl", "{", ("rows.jsonl:1", "JSON")),
    ],
)
def test_a_file_that_cannot_be_used_is_told(
    name: str | None, content: str, culprits: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / (name or "none.csv")
    if name:
        path.write_text(content, encoding="utf-8")
    with refused(UserError, *culprits):
        from_file(path, dataset("text_files"))


def test_pairs_need_a_file(tmp_path: Path) -> None:
    pairs = dataset("text_files", "dataset.columns.text_pair=other")
    with refused(UserError, "--file", "text", "other"):
        from_texts(["one"], pairs)
    file = tmp_path / "rows.txt"
    file.write_text("one\n", encoding="utf-8")
    with refused(UserError, "rows.txt", "csv", "jsonl", "other"):
        from_file(file, pairs)


def test_an_empty_text_is_told() -> None:
    with refused(UserError, "--text", "2"):
        from_texts(["one", " "], dataset("text_files"))


def test_a_kind_with_two_required_inputs_needs_both(tmp_path: Path) -> None:
    with users_kinds(tmp_path) as write_kind:
        roles = "Roles(required=('first', 'second', 'label'), inputs=('first', 'second'))"
        imports = "from ftlab.config.task_kind import Roles\n"
        write_kind("order.py", imports + KIND.format(changes=f"name='order', roles={roles}"))
        columns = [f"+dataset.columns.{role}={role}" for role in ("first", "second")]
        trained = dataset("text_files", "kinds=[order]", "dataset.task=order", "dataset.columns.text=null", *columns)
        with refused(UserError, "first and second", "--file"):
            from_texts(["one"], trained)
        (tmp_path / "rows.csv").write_text("first,second\none,two\n", encoding="utf-8")
        assert from_file(tmp_path / "rows.csv", trained)[0].values == {"first": "one", "second": "two"}


def test_inputs_of_a_call_are_the_rows_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"turn": {"user": "Add."}, "input": "1 1"}\n{"turn": {"user": "Stop."}}\n', encoding="utf-8")
    trained = dataset("instruction_files", "dataset.columns.prompt=turn.user")
    inputs = [{"turn": {"user": "Add."}, "input": "1 1"}, "Stop."]
    assert [row.values for row in usable(from_inputs(inputs, trained))] == [
        row.values for row in from_file(file, trained)
    ]
    assert [row.where for row in from_inputs(inputs, trained)] == ["inputs[0]", "inputs[1]"]


def test_an_input_alone_is_what_it_is_among_others() -> None:
    trained = dataset("instruction_files")
    inputs = [{"instruction": "Add.", "input": "1 1"}, {"instruction": "Stop."}, "Stop."]
    together = usable(from_inputs(inputs, trained))
    assert [usable(from_inputs([item], trained))[0].values for item in inputs] == [row.values for row in together]


def test_words_and_texts_stand_side_by_side(tmp_path: Path) -> None:
    """Each row is read on its own: a text is split where words are read."""
    (tmp_path / "rows.jsonl").write_text('{"words": ["No", "."]}\n{"words": "No."}\n', encoding="utf-8")
    expected = [{"tokens": ["No", "."]}, {"tokens": ["No", "."], "text": "No."}]
    assert [row.values for row in from_file(tmp_path / "rows.jsonl", dataset("token_files"))] == expected
    assert [row.values for row in usable(from_inputs([["No", "."], "No."], dataset("token_files")))] == expected


def test_pairs_are_mappings_with_both_texts() -> None:
    pairs = dataset("text_files", "dataset.columns.text_pair=other")
    assert usable(from_inputs([{"text": "a", "other": "b"}], pairs))[0].values == {"text": "a", "text_pair": "b"}
    with refused(DataError, "inputs[0]", "str", "text and other"):
        from_inputs(["a"], pairs)
    with refused(DataError, "inputs[1]", "'other'", "text_pair"):
        from_inputs([{"text": "a", "other": "b"}, {"text": "a"}], pairs)


def test_a_record_whose_columns_are_of_another_task_is_refused() -> None:
    with refused(UserError, "prompt", "dataset.task=instruction"):
        from_texts(["one"], dataset("text_files", "dataset.task=instruction"))
