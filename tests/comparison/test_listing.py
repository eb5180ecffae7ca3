import csv
import json
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from ftlab.cli.app import app
from ftlab.comparison.folder_table import print_folders
from ftlab.comparison.listing import entries, listing_columns, status_style
from ftlab.core.errors import UserError
from ftlab.record import FILE_NAME
from tests.comparison.factory import add_run, demo, showcase
from tests.fixtures.refusals import refused
from tests.fixtures.statements import states


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    demo(tmp_path / "old")
    add_run(tmp_path / "new", "lora", status="failed", changes={"started_at": "2026-12-01T10:00:00+00:00"})
    (tmp_path / "new" / "next").mkdir()
    (tmp_path / "new" / "next" / "config.yaml").touch()
    add_run(tmp_path, "full", name="alone", changes={"started_at": "2026-11-30T10:00:00+00:00"})
    return tmp_path


def test_sweeps_and_single_runs_newest_first(outputs: Path) -> None:
    found, errors = entries(outputs)
    assert errors == []
    assert [entry.folder.name for entry in found] == ["new", "alone", "old"]
    assert [entry.states for entry in found] == [{"waiting": 1, "failed": 1}, {"completed": 1}, {"completed": 3}]
    assert found[-1].methods == ("lora", "prefix", "full")
    assert found[-1].tables == ("bbc_news · minilm",)


def test_a_sweep_started_with_its_first_run(tmp_path: Path) -> None:
    for hour in (10, 12, 11):
        add_run(tmp_path / "s", "lora", changes={"started_at": f"2026-12-01T{hour}:00:00+00:00"})
    ((entry,), _) = entries(tmp_path)
    assert entry.started == "2026-12-01T10:00:00+00:00"


def test_pruned_runs_are_counted_apart_from_failed_ones(tmp_path: Path) -> None:
    for status in ("failed", "pruned", "completed", "pruned"):
        add_run(tmp_path / "search", "lora", status=status)
    ((entry,), _) = entries(tmp_path)
    assert list(entry.states.items()) == [("completed", 1), ("pruned", 2), ("failed", 1)]
    assert status_style("pruned") not in (status_style("failed"), status_style("completed"))


def test_of_a_sweep_its_runs_are_listed(outputs: Path) -> None:
    assert [sum(entry.states.values()) for entry in entries(outputs / "old")[0]] == [1, 1, 1]
    assert len(entries(outputs, runs=True)[0]) == 3 + 2 + 1
    assert [entry.folder.name for entry in entries(outputs / "alone")[0]] == ["alone"]


def test_the_command_prints_them(outputs: Path) -> None:
    (outputs / "old" / "broken").mkdir()
    (outputs / "old" / "broken" / FILE_NAME).write_text("{", encoding="utf-8")
    result = CliRunner().invoke(app, ["ls", str(outputs)])
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines if line.startswith(("new", "alone", "old"))] == ["new", "alone", "old"]
    states(result.stdout, "1 waiting", "1 failed")
    assert "broken" in "".join(lines)  # what is left out, on whichever lines its path falls


@pytest.mark.parametrize("width", ["40", "80"])
def test_no_width_breaks_the_name_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: str) -> None:
    name = "lora-smollm2_135m-instruction_files-s0-2b95abdf"
    add_run(tmp_path / "sweep", "lora", name=name)
    monkeypatch.setenv("COLUMNS", width)
    result = CliRunner().invoke(app, ["ls", str(tmp_path), "--runs"])
    (row,) = [line for line in result.stdout.splitlines() if line.startswith("sweep")]
    assert row.startswith(f"sweep/{name} ")
    assert "completed" in row


def test_runs_of_one_method_are_told_apart(tmp_path: Path) -> None:
    for seed, rate in ((0, 1e-3), (1, 1e-3), (0, 5e-4)):
        add_run(tmp_path / "sweep", "lora", seed=seed, settings={"optim.lr": rate})
    listed, _ = entries(tmp_path / "sweep")
    assert {entry.varies for entry in listed} == {"lr=0.001 seed=0", "lr=0.001 seed=1", "lr=0.0005 seed=0"}


def test_programs_get_json_or_lines(outputs: Path) -> None:
    (outputs / "old" / "broken").mkdir()
    (outputs / "old" / "broken" / FILE_NAME).write_text("{", encoding="utf-8")
    result = CliRunner().invoke(app, ["ls", str(outputs), "--json"])
    assert [Path(entry["folder"]).name for entry in json.loads(result.stdout)] == ["new", "alone", "old"]
    assert json.loads(result.stdout)[0]["states"] == {"waiting": 1, "failed": 1}
    assert "broken" in result.stderr
    result = CliRunner().invoke(app, ["ls", str(outputs), "--plain"])
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert lines[0][0] == str(outputs / "new")
    assert lines[0][3] == "waiting=1,failed=1"
    assert {len(line) for line in lines} == {6}
    assert CliRunner().invoke(app, ["ls", str(outputs), "--plain", "--json"]).exit_code == 2


def test_names_are_no_markup(tmp_path: Path) -> None:
    add_run(tmp_path / "[red]s[/red]", "[b]x[/b]", like="lora")
    console = Console(width=200, force_terminal=False)
    with console.capture() as capture:
        print_folders(listing_columns(entries(tmp_path)[0], tmp_path), console)
    assert "[red]s[/red]" in capture.get()
    assert "[b]x[/b]" in capture.get()


def test_a_folder_without_runs_is_told(tmp_path: Path) -> None:
    with refused(UserError, tmp_path):
        entries(tmp_path)
    with refused(UserError, tmp_path / "outputs"):
        entries(tmp_path / "outputs")


def test_sweeps_are_compared_with_each_other(tmp_path: Path) -> None:
    demo(tmp_path / "one")
    showcase(tmp_path / "two")
    result = CliRunner().invoke(app, ["compare", str(tmp_path / "one"), str(tmp_path / "two"), "-o", str(tmp_path)])
    assert result.exit_code == 0
    with (tmp_path / "comparison.csv").open(encoding="utf-8", newline="") as stream:
        folders = [row["run"] for row in csv.DictReader(stream)]
    assert sum(folder.startswith("one/") for folder in folders) == 3
    assert sum(folder.startswith("two/") for folder in folders) == 23
    rows = [line for line in (tmp_path / "comparison.md").read_text(encoding="utf-8").splitlines() if line[:1] == "|"]
    assert len(rows) == 2 + 7 + 2  # of runs of one seed in both sweeps, one counts
