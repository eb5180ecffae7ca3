"""The process that jobs are forked from: begun early, told later what to import, and gone with its command."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from ftlab.cli import training

ROOT = Path(__file__).resolve().parents[2]


def _python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)


def test_it_imports_what_it_is_told_however_late_it_asks(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    code = (
        "import os; from ftlab.launch import forkserver\n"
        f"os.environ['FTLAB_SERVER_PIPE'] = {str(tmp_path / 'pipe')!r}\n"
        "print(forkserver.requested_modules(), 'FTLAB_SERVER_PIPE' in os.environ)"
    )
    pipe = os.open(tmp_path / "pipe", os.O_RDWR)
    try:
        os.write(pipe, b"seqeval.metrics ftlab.tasks.text_metrics\n")
        assert _python(code).stdout.strip() == "['seqeval.metrics', 'ftlab.tasks.text_metrics'] False"
        os.write(pipe, b"\n")
        assert _python(code).stdout.strip() == "[] False"
    finally:
        os.close(pipe)


@pytest.mark.parametrize("there", [True, False], ids=["nobody writes", "the pipe is gone"])
def test_it_ends_where_nobody_is_left_to_tell(tmp_path: Path, there: bool) -> None:
    if there:
        os.mkfifo(tmp_path / "pipe")
    code = (
        "import os; from ftlab.launch import forkserver\n"
        f"os.environ['FTLAB_SERVER_PIPE'] = {str(tmp_path / 'pipe')!r}\n"
        "forkserver.requested_modules(); print('served')"
    )
    ended = _python(code)
    assert (ended.returncode, ended.stdout) == (0, "")


def test_elsewhere_nothing_waits() -> None:
    assert _python("from ftlab.launch import forkserver; print(forkserver.requested_modules())").stdout.strip() == "[]"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it ends when its imports are done")
def test_a_command_that_is_refused_leaves_no_process_behind(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Its imports would take an hour here, so that a server that is left to itself is still there to be found."""
    (tmp_path / "torch.py").write_text("import time\ntime.sleep(3600)\n")
    temporary = tmp_path_factory.mktemp("t")  # a short path: the server's socket has its place there
    environment = os.environ | {"TMPDIR": str(temporary), "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "train.py", "-m", "method=lorra"]
    told = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert told.returncode == 2, told.stderr
    left = _with_temporary_files_in(temporary)
    _, alive = psutil.wait_procs(left, timeout=60)
    for process in alive:
        process.kill()
    assert not alive
    assert not list(temporary.iterdir())


def _with_temporary_files_in(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("TMPDIR", "").startswith(str(folder)) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.mark.parametrize(
    ("arguments", "here"),
    [
        ([], True),
        (["-m", "method=lora,full", "hydra/launcher=local"], True),
        (["--multirun", "method=lora"], True),
        (["-m", "hydra/launcher=submitit_slurm"], False),
        (["--cfg", "job"], False),
    ],
)
def test_it_is_begun_where_jobs_may_run_on_this_machine(
    arguments: list[str], here: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[bool] = []
    monkeypatch.setattr(training.forkserver, "start", lambda: begun.append(True))
    monkeypatch.setattr(training, "run_experiments", lambda _: None)
    training.train(arguments)
    assert bool(begun) is here


@pytest.mark.slow
def test_a_long_path_for_temporary_files_is_no_obstacle(tmp_path: Path) -> None:
    """The server's socket has its place elsewhere then; a socket's path has at most a hundred characters."""
    long = tmp_path / ("l" * 120)
    long.mkdir()
    code = (
        "from ftlab.launch import forkserver; forkserver.start()\n"
        "from multiprocessing import get_context\n"
        "from multiprocessing.forkserver import ensure_running; ensure_running(); print('runs')"
    )
    environment = os.environ | {"TMPDIR": str(long)}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "runs\n"), result.stderr
    assert not list(long.iterdir())


@pytest.mark.slow
def test_the_working_directory_is_not_searched_by_the_server(tmp_path: Path) -> None:
    """It would run a file that has the name of a library."""
    (tmp_path / "torch.py").write_text("import os\nopen(os.environ['MARK'], 'w').close()\nraise ImportError\n")
    code = (
        "from ftlab.launch import forkserver; forkserver.preload_modules([])\n"
        "from multiprocessing import get_context\n"
        "import time, signal\n"
        "process = get_context('forkserver').Process(target=print, args=('forked',), kwargs={'flush': True})\n"
        "process.start(); process.join()"
    )
    environment = os.environ | {"MARK": str(tmp_path / "mark")}
    result = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert result.stdout == "forked\n", result.stderr
    assert not (tmp_path / "mark").exists()
