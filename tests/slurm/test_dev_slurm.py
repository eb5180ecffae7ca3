"""The Slurm that the tests of launching stand on."""

import os
import socket
import subprocess
import time
from pathlib import Path

import pytest

DEV_SLURM = Path(__file__).parents[2] / "scripts" / "dev_slurm"

pytestmark = [pytest.mark.slow, pytest.mark.slurm, pytest.mark.xdist_group("slurm")]


def _lines(*command: str | Path) -> list[str]:
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
    assert not done.stderr
    return sorted(done.stdout.splitlines())


def _daemons(folder: Path) -> list[str]:
    """Return the names of the processes that run on this folder's configuration."""
    names = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode().split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
        if any(f"{folder}/" in word for word in words):
            names.append(Path(words[0]).name)
    return sorted(names)


def _written(file: Path) -> str:
    """Return the first text that a job wrote."""
    for _ in range(3000):
        if file.exists() and (text := file.read_text()):
            return text
        time.sleep(0.1)
    pytest.fail(f"nothing in {file}")


def _alive(pid: int) -> bool:
    """Return whether a process runs; one that ended and that nobody has waited for has no command line."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except (FileNotFoundError, ProcessLookupError):
        return False


def _until(reached: str, job: str) -> None:
    """Wait until sacct, which submitit asks, says that a job has reached a state."""
    for _ in range(3000):
        state = _lines("sacct", "-o", "JobID,State,NodeList", "--parsable2", "-j", job)
        if any(line.split("|")[:2] == [job, reached] for line in state):
            return
        time.sleep(0.1)
    pytest.fail(f"not {reached}: {state}")


def test_a_job_has_its_tasks_and_its_pretend_gpus(slurm: Path) -> None:
    said = _lines(
        "srun",
        "--quiet",
        "-n2",
        "--gres=gpu:2",
        "sh",
        "-c",
        "echo $SLURM_PROCID of $SLURM_NTASKS: $CUDA_VISIBLE_DEVICES",
    )
    assert said == ["0 of 2: 0,1", "1 of 2: 0,1"]


def test_a_job_on_two_nodes_sees_both_and_can_resolve_them(slurm: Path) -> None:
    # quiet: where a node is still busy with the job before, srun would say that it waits
    assert _lines("srun", "--quiet", "-N2", "sh", "-c", "echo $SLURMD_NODENAME") == ["n1", "n2"]
    for node in ("n1", "n2"):
        assert socket.gethostbyname(node) == "127.0.0.1"


def test_two_jobs_share_a_node(slurm: Path) -> None:
    submit = ["sbatch", "--parsable", "--nodelist=n1", "--output=/dev/null", "--wrap=sleep 60"]
    jobs = [_lines(*submit)[0] for _ in range(2)]
    for job in jobs:
        _until("RUNNING", job)
        _lines("scancel", job)
        _until("CANCELLED", job)


def test_a_requeued_job_starts_again(slurm: Path, tmp_path: Path) -> None:
    output = tmp_path / "log"
    wrap = "--wrap=echo start ${SLURM_RESTART_COUNT:-0}; test $SLURM_RESTART_COUNT || sleep 60"
    (job,) = _lines("sbatch", "--parsable", "--open-mode=append", f"--output={output}", wrap)
    _until("RUNNING", job)
    _written(output)
    _lines("scontrol", "requeue", job)
    _until("COMPLETED", job)
    text = output.read_text()
    assert [line for line in text.splitlines() if line.startswith("start")] == ["start 0", "start 1"]


def test_the_tasks_of_an_array_that_wait_are_one_line(slurm: Path) -> None:
    (array,) = _lines("sbatch", "--parsable", "--hold", "--array=0-2", "--output=/dev/null", "--wrap=true")
    assert f"{array}_[0-2]|PENDING|" in _lines("sacct", "-o", "JobID,State,NodeList", "--parsable2", "-j", array)
    _lines("scancel", array)


def test_two_live_side_by_side_and_down_leaves_nothing_behind(
    slurm: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    hosts = Path("/etc/hosts").read_text()
    ours = ["munged", "slurmctld", "slurmd", "slurmd"]
    second = tmp_path_factory.mktemp("second")  # a short path: sockets have their places there
    try:
        printed = _lines(DEV_SLURM, "up", second)
        environment = dict(line.removeprefix("export ").split("=", 1) for line in printed)
        assert environment["SLURM_CONF"] == str(second / "slurm.conf")
        assert _daemons(second) == ours
        submit = ["sbatch", f"--output={tmp_path / 'log'}", "--wrap=echo $$; exec sleep 600"]
        subprocess.run(submit, check=True, env=os.environ | {"SLURM_CONF": environment["SLURM_CONF"]})
        pid = _written(tmp_path / "log")
    finally:
        _lines(DEV_SLURM, "down", second)
    assert _daemons(second) == []
    assert not _alive(int(pid))
    assert Path("/etc/hosts").read_text() == hosts
    assert _daemons(slurm) == ours
    assert _lines(DEV_SLURM, "down", second) == []  # twice is no mistake


def test_a_second_start_in_the_same_folder_is_refused(slurm: Path) -> None:
    done = subprocess.run([DEV_SLURM, "up", slurm], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert str(slurm) in done.stderr
    assert _lines("sinfo", "-h", "-N", "-o", "%N") == ["n1", "n2"]


def test_a_folder_that_slurm_could_not_name_is_refused(tmp_path: Path) -> None:
    done = subprocess.run([DEV_SLURM, "up", tmp_path / "a b"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "a b" in done.stderr
