"""`ftlab import peft-results` as it is typed."""

from pathlib import Path

from typer.testing import CliRunner, Result

from ftlab.cli.app import app
from tests.importers.peft_files import result, write_result


def _import(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["import", "peft-results", *map(str, arguments)], env={"COLUMNS": "200"})


def test_it_says_what_it_did_and_what_to_do_next(tmp_path: Path) -> None:
    write_result(tmp_path / "a", result())
    write_result(tmp_path / "b", result())
    write_result(tmp_path / "b", result("dora/x"))
    (tmp_path / "b" / "notes.json").write_text("{}", encoding="utf-8")
    done = _import(tmp_path / "a", tmp_path / "b", "--to", tmp_path / "to")
    assert done.exit_code == 0, done.output
    for text in ("2 runs of 2 experiments", "1 files of runs", "notes.json", f"ftlab compare {tmp_path / 'to'}"):
        assert text in done.output
    again = _import(tmp_path / "a", "--to", tmp_path / "to")
    assert again.exit_code == 2
    assert "exists" in again.output


def test_help_teaches() -> None:
    for text in ("method_comparison/MetaMathQA/results", "--reruns-as-seeds", "no test", "ftlab compare"):
        assert text in _import("--help").output


def test_no_advice_is_a_command_of_ftlab_for_methods_of_others(tmp_path: Path) -> None:
    write_result(tmp_path / "a", result())
    write_result(tmp_path / "a", result("dora/x"))
    _import(tmp_path / "a", "--to", tmp_path / "to")
    advice = CliRunner().invoke(app, ["advise", str(tmp_path / "to")], env={"COLUMNS": "200"})
    assert "No answer" in advice.output
    assert "train.py" not in advice.output
