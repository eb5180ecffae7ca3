"""Runs and sweeps from Python, in real child processes, on a tiny model."""

import contextlib
import io
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from ftlab.api.commands import run, sweep
from ftlab.api.results import Sweep, load_run
from ftlab.core.errors import ConfigError, Failed, UserError
from tests.fixtures.finished_runs import settings_for
from tests.fixtures.statements import states

pytestmark = pytest.mark.xdist_group("api commands")  # the sweep below is run once

LONG = ("method=lora", "budget.steps=100000", "sweep.checkpoint_s=0")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty working directory."""
    folder, before = tmp_path_factory.mktemp("api"), Path.cwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


@pytest.fixture(scope="module")
def one_fails(folder: Path) -> tuple[Sweep, str, str]:
    """A sweep whose second run fails, its warning, and what it printed."""
    with contextlib.redirect_stdout(io.StringIO()) as output, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        result = sweep([*settings_for("bert", "text_files"), "sweep.name=two", "method=lora", "optim.lr=0.01,1e9"])
    return result, str(warned[0].message), output.getvalue()


def settings(*more: str) -> list[str]:
    return [*settings_for("bert", "text_files"), *more]


def test_a_run_that_fails_stops_no_other_and_is_warned_of(one_fails: tuple[Sweep, str, str]) -> None:
    result, warning, _ = one_fails
    assert {run.config["optim"]["lr"]: run.status for run in result} == {0.01: "completed", 1e9: "failed"}
    states(warning, result.failed[0].directory, "failed", "NonFiniteLoss")
    assert result.directory == Path.cwd() / "outputs" / "two"


def test_the_output_goes_where_python_prints(one_fails: tuple[Sweep, str, str]) -> None:
    _, _, output = one_fails
    states(output, "lora", "completed", "report.html")
    assert "\x1b" not in output
    assert max(map(len, output.splitlines())) > 80  # wider than what a process without a terminal assumes


def test_the_record_has_a_command_that_works_when_typed(one_fails: tuple[Sweep, str, str]) -> None:
    command = one_fails[0].runs[0].record.command
    assert command[:3] == ["ftlab", "train", "-m"]
    assert "optim.lr=0.01,1e9" in command


def test_a_run_that_is_complete_is_returned_at_once_and_one_that_failed_raises(
    one_fails: tuple[Sweep, str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    [completed] = [run for run in one_fails[0] if run.status == "completed"]
    again = run(settings("sweep.name=two", "method=lora", "optim.lr=0.01"), quiet=True)
    assert again == load_run(completed) == completed
    with pytest.raises(Failed) as error:
        run(settings("sweep.name=two", "method=lora", "optim.lr=1e9"), quiet=True)
    states(str(error.value), one_fails[0].failed[0].directory, "NonFiniteLoss", "logs/job.log")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (["method=lroa"], ("method=lroa", "mean lora?")),
        (["-m", "method=lora"], ("-m", "ftlab.sweep")),
        (["--cfg=job"], ("--cfg",)),
        ("method='lora", ("method='lora",)),
        (["method=lora,full"], ("method",)),
        (["plan=true"], ("plan=true", "plan=first")),
        (["method=lora", 3], ("overrides[1]", 3)),
        (["x=\0"], ("overrides[0]",)),
        ({"method": "lora"}, ("dict",)),
        (None, ("NoneType",)),
        (b"method=lora", ("bytes",)),
        (["--config-dir", "nowhere"], ("nowhere",)),
    ],
)
def test_a_mistake_is_raised_and_nothing_is_written(
    arguments: Any, facts: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as error:
        run(arguments, quiet=True)
    states(str(error.value), *facts)
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_is_no_run(one_fails: tuple[Sweep, str, str]) -> None:
    words = [
        *settings_for("bert", "text_files"),
        "sweep.name=two",
        "method=lora",
        "optim.lr=0.01",
        "hydra.mode=MULTIRUN",
    ]
    with pytest.raises(UserError) as error:
        run(words, quiet=True)
    states(str(error.value), "ftlab.sweep", one_fails[0].directory)


def test_a_program_without_a_console_may_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(ConfigError, match="lroa"):
        run(["method=lroa"])


def test_a_process_that_ends_without_a_word_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho last words\nexit 7\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    with pytest.raises(RuntimeError) as error:
        run("method=lora", quiet=True)
    states(str(error.value), 7, "last words")


@contextlib.contextmanager
def calling(sweep: Path, text: str, has_come: Callable[[Path], object]) -> Iterator[subprocess.Popen[bytes]]:
    """Start a script that makes a long call, and wait until its run has come to some point."""
    lines = ["import signal, sys, ftlab", "signal.signal(signal.SIGINT, signal.default_int_handler)", text]
    command = [sys.executable, "-c", "\n".join(lines)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as caller:
        try:
            while not any(map(has_come, sweep.glob("lora-*/"))):
                assert caller.poll() is None, caller.communicate()
                time.sleep(0.1)
            yield caller
        finally:
            caller.kill()


def _steps(directory: Path) -> int:
    if not (directory / "record.json").exists():
        return 0
    progress = load_run(directory).record.progress
    return progress.step if progress else 0


@pytest.mark.slow
def test_an_interrupt_lets_the_run_write_a_checkpoint_and_the_same_call_goes_on(folder: Path) -> None:
    words = settings(*LONG, "sweep.name=stopped")
    text = f"""try:
    ftlab.run({words})
except KeyboardInterrupt:
    print("interrupted", ftlab.load_sweep("outputs/stopped").runs[0].status)"""
    with calling(folder / "outputs" / "stopped", text, _steps) as caller:
        caller.send_signal(signal.SIGINT)
        output, _ = caller.communicate(timeout=120)
    assert output.decode().splitlines()[-1] == "interrupted interrupted"
    [directory] = (folder / "outputs" / "stopped").glob("lora-*")
    step = _steps(directory)
    assert step > 0
    with calling(directory.parent, text, lambda run: load_run(run).record.resumed_at) as caller:
        assert load_run(directory).record.resumed_at == [step]


@pytest.mark.slow
def test_the_run_ends_with_a_caller_that_is_killed(folder: Path) -> None:
    directory, words = folder / "outputs" / "killed", settings(*LONG, "sweep.name=killed")
    with calling(directory, f"ftlab.run({words!r}, quiet=True)", _steps) as caller:
        children = psutil.Process(caller.pid).children(recursive=True)
        assert children
        caller.kill()
    _, alive = psutil.wait_procs(children, timeout=120)
    assert not alive
    [stopped] = directory.glob("lora-*")
    assert load_run(stopped).status == "interrupted"
    assert _steps(stopped) > 0
    assert (directory / "comparison.md").exists()  # the child has ended as after an interrupt
