"""Queue of jobs on a real Slurm: added and cancelled while others run, and left there by an exception."""

from collections.abc import Iterator

import pytest

from ftlab.launch.executor import Ended, Started
from ftlab.launch.finalize import finalized
from ftlab.launch.slurm import SlurmExecutor
from ftlab.launch.slurm_queue import queue_states, read_job_id
from tests.launch.queueing import (
    cut_while_jobs_run,
    fail,
    prepared_job,
    tell_of_jobs_added_and_cancelled_while_others_run,
)
from tests.launch.sweeping import WAITING_METHOD, Bench, bench
from tests.slurm.test_sweeps import empty_queue, queue

__all__ = ["bench"]

SETTINGS = {"timeout_min": 30, "signal_delay_s": 120}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.slurm,
    pytest.mark.usefixtures("slurm"),
    pytest.mark.xdist_group("slurm"),
]


@pytest.fixture
def executor(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlurmExecutor]:
    monkeypatch.chdir(bench.folder)
    yield SlurmExecutor(SETTINGS)
    empty_queue()


def test_jobs_are_added_and_cancelled_while_others_run(executor: SlurmExecutor, bench: Bench) -> None:
    tell_of_jobs_added_and_cancelled_while_others_run(executor, bench, "slurm-queue")


def test_after_an_exception_in_the_loop_the_jobs_stay_and_are_found_again(
    executor: SlurmExecutor, bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    left, folder = cut_while_jobs_run(executor, bench, "slurm-cut")
    job_id = read_job_id(folder)
    assert left == []
    assert job_id
    assert f"scancel {job_id}" in capsys.readouterr().out
    assert queue_states([job_id]) == {job_id: "RUNNING"}

    before = sorted(queue("--states=all", "--format=%i").split())
    (job,) = [handle.job for handle in executor._running]
    again = SlurmExecutor(SETTINGS)
    assert again.is_submitted(job)
    with again.stopping(fail):
        handle = again.submit(job)
        for event in again.events():
            if event == Started(handle):
                again.cancel(handle)
            elif isinstance(event, Ended):
                assert finalized(job, event.outcome).status == "pruned"
    assert sorted(queue("--states=all", "--format=%i").split()) == before, "none was submitted"


@pytest.mark.usefixtures("executor")
def test_a_job_that_waits_in_the_queue_is_cancelled_there(bench: Bench) -> None:
    """Its job had no time to write a record."""
    executor = SlurmExecutor({**SETTINGS, "additional_parameters": {"begin": "now+1hour"}})
    job = prepared_job(bench, "slurm-pending", *WAITING_METHOD)
    outcomes = []
    with executor.stopping(fail):
        handle = executor.submit(job)
        for event in executor.events():
            if event == Started(handle):
                executor.cancel(handle)
            elif isinstance(event, Ended):
                outcomes.append(event.outcome)
    (outcome,) = outcomes
    record = finalized(job, outcome)
    assert (record.status, record.progress) == ("pruned", None)
    assert record.finished_at
