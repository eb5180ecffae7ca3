"""`ftlab rm` as it is typed: it lists, asks, removes, and says what is left."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ftlab.cli.app import app
from tests.comparison.factory import add_run
from tests.fixtures.statements import states

Invoke = Callable[..., Result]


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    for status in ("completed", "failed", "oom"):
        add_run(tmp_path / "sweep", "lora", status=status, name=status)
    return tmp_path / "sweep"


@pytest.fixture
def rm(monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Return what gives the command; with an answer as if at a terminal."""

    class Terminal:
        """`sys` with streams of a terminal."""

        class stdin:
            isatty = staticmethod(lambda: True)

        stdout = stdin

    def rm(*arguments: object, answer: str | None = None) -> Result:
        if answer is not None:
            monkeypatch.setattr("ftlab.cli.removal.sys", Terminal)
        return CliRunner().invoke(app, ["rm", *map(str, arguments)], input=answer, env={"COLUMNS": "200"})

    return rm


def folders(sweep: Path) -> list[str]:
    return sorted(path.name for path in sweep.iterdir() if path.is_dir())


def test_it_lists_asks_and_removes(sweep: Path, rm: Invoke) -> None:
    done = rm(sweep, answer="y\n")
    assert done.exit_code == 0, done.output
    states(done.stdout, sweep / "failed", "RuntimeError: loss is nan", sweep / "oom", "2.00 GiB", "Remove 2 runs")
    states(done.stdout, "Removed 2 runs", "comparison")
    assert str(sweep / "completed") not in done.stdout
    assert folders(sweep) == ["completed"]
    again = rm(sweep, "--yes")
    assert again.exit_code == 0
    states(again.stdout, "failed or oom or pruned")


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_no_other_answer_removes(answer: str, sweep: Path, rm: Invoke) -> None:
    done = rm(sweep, answer=answer)
    assert done.exit_code == 1
    assert isinstance(done.exception, SystemExit)
    assert folders(sweep) == ["completed", "failed", "oom"]


def test_without_a_terminal_it_asks_for_yes(sweep: Path, rm: Invoke) -> None:
    done = rm(sweep)
    assert done.exit_code == 2
    states(done.stderr, "--yes")
    assert len(done.stderr.strip().splitlines()) == 1
    assert folders(sweep) == ["completed", "failed", "oom"]
    assert rm(sweep, "--yes", "--status", "oom").exit_code == 0
    assert folders(sweep) == ["completed", "failed"]


def test_data_that_were_not_uploaded_are_told(sweep: Path, rm: Invoke) -> None:
    for name in ("failed", "oom"):
        offline = sweep / name / "logs" / "wandb" / "offline-run-1-a" / "run-a.wandb"
        offline.parent.mkdir(parents=True)
        offline.touch()
    offline.with_name(f"{offline.name}.synced").touch()
    done = rm(sweep, answer="n\n")
    states(done.stdout, "W&B data of 1 of them", "ftlab sync")
    assert done.stdout.count("not uploaded") == 2


def test_one_that_stays_is_told_and_the_others_go(sweep: Path, rm: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if path.name == "failed":
            raise PermissionError(13, "Permission denied", str(path))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    done = rm(sweep, "-y")
    assert done.exit_code == 1
    assert len(done.stderr.strip().splitlines()) == 1
    states(done.stderr, "error: ", sweep / "failed", "Permission denied")
    assert folders(sweep) == ["completed", "failed"]


def test_a_broken_record_is_named(sweep: Path, rm: Invoke) -> None:
    (sweep / "oom" / "record.json").write_text("{")
    done = rm(sweep, "-y")
    assert done.exit_code == 0
    states(done.stdout, sweep / "oom" / "record.json")
    assert folders(sweep) == ["completed", "oom"]


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (["SWEEP", "--status", "completed"], ("--status completed",)),
        (["SWEEP", "--status", "fialed"], ("mean failed?",)),
        (["SWEEP/completed"], ("completed",)),
        (["nowhere"], ("nowhere",)),
    ],
)
def test_a_mistake_is_one_sentence(arguments: list[str], facts: tuple[str, ...], sweep: Path, rm: Invoke) -> None:
    done = rm(*(argument.replace("SWEEP", str(sweep)) for argument in arguments), "--yes")
    assert done.exit_code == 2
    assert len(done.stderr.strip().splitlines()) == 1
    states(done.stderr, "error: ", *facts)
    assert folders(sweep) == ["completed", "failed", "oom"]


def test_help_teaches_by_examples(rm: Invoke) -> None:
    done = rm("--help")
    assert done.exit_code == 0
    states(done.stdout, "ftlab rm outputs/SWEEP", "--status", "--yes")
