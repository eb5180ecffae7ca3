"""Command `ftlab predict`: what it prints and writes."""

import json
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ftlab.cli import app
from ftlab.cli import finished as commands
from ftlab.inference.finished_run import read_run
from tests.fixtures.finished_runs import TRAINED, finished
from tests.inference.asking import answers, rows_of

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_the_command_answers_a_file_row_by_row(suffix: str, tmp_path: Path) -> None:
    run = read_run(finished("bert", "text_files", "method=lora", *TRAINED))
    rows = rows_of(run)
    file = tmp_path / "news.txt"
    file.write_text("\n".join(row.values["text"] for row in rows) + "\n", encoding="utf-8")
    expected = answers(run, rows)
    output = tmp_path / f"answers.{suffix}"
    commands._predict_rows(run.directory, [], file, output, 8, commands.OnBadRows.error, False, [])
    if suffix == "jsonl":
        found = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
        assert [row["prediction"] for row in found] == [row.prediction for row in expected]
        assert found[0]["scores"] == pytest.approx(expected[0].scores)
    elif suffix == "parquet":
        table = pq.read_table(output)
        assert table["score_money"].to_pylist() == pytest.approx([row.scores["money"] for row in expected])
    else:
        head, first, *_ = output.read_text(encoding="utf-8").splitlines()
        assert head == '"prediction","probability","score_money","score_other"'
        assert first.startswith(f'"{expected[0].prediction}",')
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([file.name, output.name])


def test_the_command_prints_json_lines_for_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """And nothing else, not even a library's warning; as a process of its own in tests/inference/test_export.py."""
    directory = finished("bert", "text_files", "method=lora", *TRAINED)
    file = tmp_path / "texts.csv"
    file.write_text("text\nThe team won.\nShares fell.\n", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["ftlab", "predict", str(directory), "--file", str(file)])
    with pytest.raises(SystemExit) as end:
        app.main()
    assert not end.value.code
    said = capfd.readouterr()
    assert [set(json.loads(line)) for line in said.out.splitlines()] == [{"prediction", "probability", "scores"}] * 2
    assert said.err == ""


def test_a_blank_cell_costs_its_own_row_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    directory = finished("bert", "text_files", "method=lora", *TRAINED)
    file = tmp_path / "texts.csv"
    file.write_text("id,text\n7,The team won.\n8,\n9,Shares fell.\n", encoding="utf-8")
    for arguments, code in (([], 2), (["--on-bad-rows", "skip"], 0)):
        monkeypatch.setattr(sys, "argv", ["ftlab", "predict", str(directory), "--file", str(file), *arguments])
        with pytest.raises(SystemExit) as end:
            app.main()
        assert (end.value.code or 0) == code
        said = capfd.readouterr()
        assert "texts.csv:3" in said.err
        assert ("--on-bad-rows skip" in said.err) == bool(code)
    assert [(row["row"], row["id"]) for row in map(json.loads, said.out.splitlines())] == [(1, "7"), (3, "9")]
