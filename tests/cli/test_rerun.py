"""`ftlab rerun` as it is typed: it runs again, says whether the results agree, and tells a mistake in one sentence."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ftlab.cli import app
from ftlab.launch import forkserver
from ftlab.record import RunRecord, find_records, read_record
from ftlab.sweeps.jobs import run_name
from ftlab.train.recorder import new_record
from tests.fixtures.compose import composed
from tests.fixtures.finished_runs import TRAINED, finished, proven, settings_for
from tests.fixtures.statements import states

FLAKY = """
from pathlib import Path

from ftlab.methods.partial import Full


class Flaky(Full):
    def apply(self, base, task):
        if Path("broken").exists():
            raise RuntimeError("something outside is broken")
        return super().apply(base, task)
"""

Command = Callable[..., int]


@pytest.fixture
def rerun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Return what gives the command in an empty folder, and returns its exit status."""
    monkeypatch.chdir(tmp_path)

    def rerun(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["/somewhere/ftlab", "rerun", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            app.main()
        return int(end.value.code or 0)

    return rerun


@pytest.fixture
def nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forkserver, "start", lambda: None)
    monkeypatch.setattr(forkserver, "preload_modules", lambda _: pytest.fail("a job was about to start"))


def record_in(sweep: Path) -> tuple[Path, RunRecord]:
    ((folder, record),) = find_records(sweep)
    return folder, record


def put_failed(sweep: Path, *overrides: str) -> Path:
    """Write the record of a run that failed for a reason outside it."""
    settings = settings_for("bert", "text_files")
    config = composed(*settings, "method=lora", "hardware=cpu", f"sweep.dir={sweep}", *overrides)
    folder = sweep / run_name(config)
    new_record(config, folder, ["train.py"]).model_copy(update={"status": "failed"}).write(folder)
    return folder


@pytest.mark.slow
@pytest.mark.xdist_group("bench")
def test_a_completed_run_is_repeated_to_the_bit(
    tmp_path: Path, rerun: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finished("bert", "text_files", "method=lora", *TRAINED)
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    assert rerun(run, "sweep.name=again") == 0
    told = capsys.readouterr().out
    folder, record = record_in(tmp_path / "outputs" / "again")
    then = proven(read_record(run))
    assert proven(record).metrics == then.metrics
    assert record.fingerprint == then.fingerprint
    assert record.command == ["ftlab", "rerun", str(run), "sweep.name=again"]
    states(told, "repeated in outputs/again", "agrees to the bit", "equal", "outputs/again/comparison.md")
    states(told, f"ftlab compare {run} {folder.relative_to(tmp_path)}")
    assert before == {path: path.stat().st_mtime_ns for path in run.rglob("*")}, "the run itself was changed"

    assert rerun(run, "sweep.name=faster", "optim.lr=0.02") == 0
    told = " ".join(capsys.readouterr().out.split())
    states(told, "optim.lr", "0.01", "0.02", "does not agree", "and so do its settings")


@pytest.mark.xdist_group("bench")
def test_a_failed_run_runs_again_in_its_own_folder(
    tmp_path: Path, rerun: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "flaky.py").write_text(FLAKY)
    own = ("method=full", "method._target_=flaky.Flaky", "method.name=flaky")
    run = put_failed(tmp_path / "sweep", *own)
    (tmp_path / "broken").touch()
    assert rerun(run) == 2
    states(capsys.readouterr().err, "method._target_=flaky.Flaky", "--trust")
    assert rerun(run, "--trust") == 1
    said = capsys.readouterr()
    states(said.err, "something outside is broken")
    states(said.out, "its own folder", "comparison.md")
    (tmp_path / "broken").unlink()
    assert rerun(run.relative_to(tmp_path), "--trust") == 0
    folder, record = record_in(tmp_path / "sweep")
    assert folder == run
    proven(record)
    assert record.command == ["ftlab", "rerun", str(run.relative_to(tmp_path)), "--trust"]
    assert "failed" not in (tmp_path / "sweep" / "comparison.md").read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.glob("outputs/*")] == []


@pytest.mark.usefixtures("nothing_starts")
@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (["RUN", "-m"], ("-m",)),
        (["RUN", "--multirun", "seed=1,2"], ("--multirun",)),
        (["RUN", "seed=1,2"], ("seed=1,2",)),
        (["RUN", "method=full"], ("method=full", "ftlab train")),
        (["RUN", "hydra/launcher=ray"], ("hydra/launcher=ray",)),
        (["RUN", "optim.lrr=1"], ("optim.lrr", "mean lr?")),
        (["RUN", "optim.lr=fast"], ("optim.lr='fast'",)),
        (["RUN", "seed"], ("'seed'", "KEY=VALUE")),
        (["RUN", "--turst"], ("--turst", "--help")),
        (["RUN", "--kinds", "none.py"], ("none.py",)),
        (["SWEEP"], ("RUN",)),
        (["nowhere"], ("nowhere",)),
    ],
)
def test_a_mistake_is_one_sentence_and_nothing_is_written(
    arguments: list[str],
    facts: tuple[str, ...],
    tmp_path: Path,
    rerun: Command,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = put_failed(tmp_path / "sweep")
    before = sorted(tmp_path.rglob("*"))

    def filled(text: str) -> str:
        return text.replace("RUN", str(run)).replace("SWEEP", str(run.parent))

    assert rerun(*map(filled, arguments)) == 2
    error = capsys.readouterr().err
    assert len(error.strip().splitlines()) == 1, error
    states(error, "error: ", *(facts if arguments != ["SWEEP"] else (run.name,)))
    assert sorted(tmp_path.rglob("*")) == before


def test_help_teaches_by_examples() -> None:
    done = CliRunner().invoke(app.app, ["rerun", "--help"], env={"COLUMNS": "200"})
    assert done.exit_code == 0
    states(done.stdout, "ftlab rerun outputs/SWEEP/RUN optim.lr=1e-3", "--trust", "--kinds", "sweep.name=")


@pytest.mark.usefixtures("nothing_starts")
def test_a_strangers_folder_is_refused_before_anything_of_it_runs(
    tmp_path: Path, rerun: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    run = put_failed(tmp_path / "sweep", "method=full", "method._target_=stranger.Method")
    copied = Path(shutil.copytree(run.parent, tmp_path / "copied"))
    (tmp_path / "stranger.py").write_text("open('was_here', 'w').close()\n")
    assert rerun(copied / run.name, "seed=1") == 2
    states(capsys.readouterr().err, "stranger.Method", "--trust")
    assert not (tmp_path / "was_here").exists()
