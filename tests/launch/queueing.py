"""Stories of a queue that every executor has to tell alike: jobs are added and cancelled while others run."""

from pathlib import Path

import pytest

from ftlab.launch.executor import Ended, Event, Executor, Handle, Job, Outcome, Started, Tick
from ftlab.launch.finalize import finalized
from ftlab.record import FILE_NAME, read_record
from ftlab.record.folder import PRUNED
from ftlab.sweeps.jobs import prepare_run_dir
from tests.launch.sweeping import WAITING_METHOD, Bench, directory_of, until_it_waits

DONE, CUT = Outcome(exit_codes=(0,)), Outcome(exit_codes=(1,), stop_reason="interrupted")


class Scripted(Executor):
    """Executor of one job at a time, which ends after so many waits; nothing runs."""

    def __init__(self, waits: int = 0) -> None:
        super().__init__()
        self.waits = waits
        self.left = 0
        self.asked_to_stop: list[Handle] = []
        self.interrupts = False  # while jobs are stopped

    def check(self, job: Job) -> None:
        pass

    def is_submitted(self, job: Job) -> bool:
        return False

    def _start_waiting(self) -> None:
        if not self._running:
            handle = self._waiting.popleft()
            self._running[handle] = None
            self.left = self.waits
            self._note_started(handle)

    def _wait(self) -> None:
        (handle,) = self._running
        if self.left == 0 or handle in self.asked_to_stop:
            self._note_ended(handle, Outcome((1,), "pruned") if handle in self.asked_to_stop else DONE)
        self.left -= 1

    def _cancel(self, handle: Handle) -> None:
        self.asked_to_stop.append(handle)

    def _stop(self) -> None:
        for handle in list(self._running):
            self._note_ended(handle, CUT)
        if self.interrupts:
            raise KeyboardInterrupt


class Cut(Exception):
    """What goes wrong in the consumer's loop."""


def prepared_job(bench: Bench, sweep: str, *overrides: str) -> Job:
    config = bench.config(sweep, *overrides)
    job = Job(config, directory_of(config), ["train.py"])
    prepare_run_dir(job)
    return job


def fail(event: Event) -> None:
    raise AssertionError(f"nothing is left to stop, but {event}")


def tell_of_jobs_added_and_cancelled_while_others_run(executor: Executor, bench: Bench, sweep: str) -> None:
    """One job waits to be cancelled; meanwhile another one is added, and again when it has ended."""
    waits, quick, never = (
        prepared_job(bench, sweep, *method) for method in (WAITING_METHOD, ("method=head",), ("method=bitfit",))
    )
    assert list(executor.events()) == [], "nothing was submitted"
    handles: dict[str, Handle] = {"waits": executor.submit(waits), "never": executor.submit(never)}
    executor.cancel(handles["never"])
    events: list[Event] = []
    with executor.stopping(fail):
        for event in executor.events():
            events.append(event)
            if event == Started(handles["waits"]):
                handles["quick"] = executor.submit(quick)
            elif isinstance(event, Ended) and event.handle is handles.get("quick"):
                assert read_record(quick.directory).status == "completed"
                executor.cancel(event.handle)  # too late
                handles["again"] = executor.submit(quick)
                until_it_waits(waits.directory)
                executor.cancel(handles["waits"])
                executor.cancel(handles["waits"])
    assert list(executor.events()) == []
    names = {handle: name for name, handle in handles.items()}
    happened = [(type(event), names[event.handle]) for event in events if not isinstance(event, Tick)]
    assert sorted(happened, key=str) == sorted(
        [
            *((Started, name) for name in ("waits", "quick", "again")),
            *((Ended, name) for name in ("never", "waits", "quick", "again")),
        ],
        key=str,
    )
    order = [happened.index(one) for one in ((Started, "waits"), (Ended, "quick"), (Ended, "waits"))]
    assert order == sorted(order), "the job that was added did not wait for the first one"
    outcomes = {names[event.handle]: event.outcome for event in events if isinstance(event, Ended)}
    assert outcomes["quick"].stop_reason is outcomes["again"].stop_reason is None
    assert outcomes["never"].stop_reason == outcomes["waits"].stop_reason == "pruned"
    assert not (never.directory / FILE_NAME).exists()
    assert read_record(waits.directory).status == "pruned", "the job itself knows it, and so do its trackers"
    for job, name in ((waits, "waits"), (never, "never")):
        record = finalized(job, outcomes[name])
        assert (record.status, record.failure) == ("pruned", None)
        assert record == read_record(job.directory)
        assert record.finished_at
        assert not (job.directory / PRUNED).exists()
    assert read_record(waits.directory).progress.step >= 3


def cut_while_jobs_run(executor: Executor, bench: Bench, sweep: str) -> tuple[list[Event], Path]:
    """Raise an exception in the loop when a job trains; return what is told after it, and the job's folder."""
    waits, behind = (prepared_job(bench, sweep, *WAITING_METHOD, f"seed={seed}") for seed in (0, 1))
    left: list[Event] = []

    def loop() -> None:
        with executor.stopping(left.append):
            handle = executor.submit(waits)
            for event in executor.events():
                if event == Started(handle):
                    executor.submit(behind)
                    until_it_waits(waits.directory)
                    raise Cut

    with pytest.raises(Cut):
        loop()
    assert not (behind.directory / FILE_NAME).exists()
    return left, waits.directory
