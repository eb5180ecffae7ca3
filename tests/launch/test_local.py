"""Queue of jobs on this machine: added, cancelled and stopped while others run."""

import os
import signal
from multiprocessing.context import ForkServerProcess

import psutil
import pytest

from ftlab.launch.executor import Ended, Started
from ftlab.launch.local import LocalExecutor, _RunningJob
from ftlab.record import read_record
from ftlab.record.checkpoints import FOLDER, resume_points
from ftlab.sweeps.interrupts import Interrupted, signals_as_interrupts
from tests.launch.queueing import cut_while_jobs_run, prepared_job, tell_of_jobs_added_and_cancelled_while_others_run
from tests.launch.sweeping import WAITING_METHOD, Bench, until, until_it_waits

pytestmark = pytest.mark.xdist_group("bench")


@pytest.fixture(autouse=True)
def _in_the_folder(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bench.folder)


def test_jobs_are_added_and_cancelled_while_others_run(bench: Bench) -> None:
    tell_of_jobs_added_and_cancelled_while_others_run(LocalExecutor(2), bench, "queue")


def test_an_exception_in_the_loop_leaves_a_checkpoint_and_no_process(bench: Bench) -> None:
    left, folder = cut_while_jobs_run(LocalExecutor(1), bench, "cut")
    (ended,) = left
    assert isinstance(ended, Ended)
    assert ended.outcome.stop_reason == "interrupted"
    assert ended.handle.job.directory == folder
    record = read_record(folder)
    assert record.status == "interrupted"
    assert not psutil.pid_exists(record.process.pid)
    assert resume_points(folder / FOLDER)


def test_a_second_interrupt_kills_at_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes while the job is asked to stop: here the job is never asked, and would wait for ever."""
    job = prepared_job(bench, "twice", *WAITING_METHOD)
    executor = LocalExecutor(1)
    left: list[object] = []
    send = _RunningJob.signal

    def interrupt_instead(running: _RunningJob, signum: signal.Signals) -> None:
        if signum == signal.SIGTERM:
            os.kill(os.getpid(), signal.SIGINT)
        else:
            send(running, signum)

    def loop() -> None:
        with signals_as_interrupts(), executor.stopping(left.append):
            handle = executor.submit(job)
            for event in executor.events():
                if event == Started(handle):
                    until_it_waits(job.directory)
                    monkeypatch.setattr(_RunningJob, "signal", interrupt_instead)
                    os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted):
        loop()
    (ended,) = left
    assert isinstance(ended, Ended)
    assert ended.outcome.exit_codes == (-signal.SIGKILL,)
    assert not psutil.pid_exists(read_record(job.directory).process.pid)


def test_a_process_whose_start_is_interrupted_ends_too(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fork server may make it after the interrupt, when nobody waits for its pid any more."""
    job = prepared_job(bench, "orphan", *WAITING_METHOD)
    started: list[ForkServerProcess] = []
    start = ForkServerProcess.start

    def start_and_be_interrupted(process: ForkServerProcess) -> None:
        start(process)
        started.append(process)
        raise KeyboardInterrupt

    monkeypatch.setattr(ForkServerProcess, "start", start_and_be_interrupted)
    executor = LocalExecutor(1)
    with pytest.raises(KeyboardInterrupt):
        executor.run([job], lambda event: None)
    (process,) = started
    until(lambda: process.exitcode is not None, "the process ends by itself")
