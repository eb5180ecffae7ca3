"""Queue that all executors share: what is told, in which order, and what is told after an exception."""

from dataclasses import replace
from pathlib import Path

import pytest

from ftlab.launch.executor import Ended, Event, Job, Outcome, Started, Tick
from ftlab.record.folder import PRUNED
from tests.fixtures.compose import composed
from tests.launch.queueing import CUT, DONE, Scripted, fail


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(composed(), tmp_path, [])


def test_an_empty_queue_has_no_events() -> None:
    with Scripted().stopping(fail):
        assert list(Scripted().events()) == []


def test_jobs_run_in_their_order_and_a_tick_is_told_while_nothing_happens(job: Job) -> None:
    executor = Scripted(waits=1)
    with executor.stopping(fail):
        first, second = executor.submit(job), executor.submit(job)
        assert first != second
        ends = [[Started(handle), Tick(), Ended(handle, DONE)] for handle in (first, second)]
        assert list(executor.events()) == [*ends[0], *ends[1]]
        third = executor.submit(job)
        assert list(executor.events()) == [Started(third), Tick(), Ended(third, DONE)]


def test_a_job_that_is_submitted_at_the_last_event_runs_in_the_same_loop(job: Job) -> None:
    executor = Scripted()
    handles = [executor.submit(job)]
    ended = []
    with executor.stopping(fail):
        for event in executor.events():
            if isinstance(event, Ended):
                ended.append(event.handle)
                if len(handles) < 3:
                    handles.append(executor.submit(job))
    assert ended == handles


def test_a_cancelled_job_ends_once_and_starts_only_if_it_had(job: Job) -> None:
    executor = Scripted(waits=9)
    runs, waits = executor.submit(job), executor.submit(job)
    events: list[Event] = []
    with executor.stopping(fail):
        for event in executor.events():
            events.append(event)
            if event == Started(runs):
                for _ in range(2):
                    executor.cancel(waits)
                    executor.cancel(runs)
                assert (job.directory / PRUNED).exists()
            elif isinstance(event, Ended):
                executor.cancel(event.handle)
    assert executor.asked_to_stop == [runs]
    assert events == [
        Started(runs),
        Ended(waits, Outcome((), "pruned")),
        Ended(runs, Outcome((1,), "pruned")),
    ]


@pytest.mark.parametrize("again", [False, True])
def test_after_an_exception_it_is_told_how_the_jobs_ended_that_had_started(job: Job, again: bool) -> None:
    executor = Scripted(waits=9)
    executor.interrupts = again
    left: list[Event] = []
    expected = KeyboardInterrupt if again else ZeroDivisionError
    runs, _, cancelled = (executor.submit(job) for _ in range(3))

    def loop() -> None:
        with executor.stopping(left.append):
            for event in executor.events():
                assert event == Started(runs)
                executor.cancel(cancelled)
                raise ZeroDivisionError

    with pytest.raises(expected):
        loop()
    assert left == [Ended(runs, CUT)]
    assert list(executor.events()) == [], "what waited is forgotten"


def test_what_was_not_told_before_an_exception_is_told_after_it(job: Job) -> None:
    class Fast(Scripted):
        """Tells of a start and an end at once."""

        def _start_waiting(self) -> None:
            super()._start_waiting()
            self._wait()

    executor = Fast()
    handle = executor.submit(job)
    left: list[Event] = []

    def loop() -> None:
        with executor.stopping(left.append):
            assert next(executor.events()) == Started(handle)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        loop()
    assert left == [Ended(handle, DONE)]


def test_an_error_in_what_is_told_of_one_end_does_not_hide_the_others(job: Job) -> None:
    class Several(Scripted):
        """Runs all jobs at once."""

        def _start_waiting(self) -> None:
            while self._waiting:
                handle = self._waiting.popleft()
                self._running[handle] = None
                self._note_started(handle)

        def _wait(self) -> None:
            pass

    class Broken(Exception):
        """What goes wrong as an end is told."""

    executor, told = Several(), []
    handles = [executor.submit(job) for _ in range(3)]

    def handle_event(event: Event) -> None:
        told.append(event)
        raise Broken

    def loop() -> None:
        with executor.stopping(handle_event):
            for event, _ in zip(executor.events(), handles, strict=False):
                assert isinstance(event, Started)

    with pytest.raises(Broken):
        loop()
    assert told == [Ended(handle, CUT) for handle in handles]


def test_a_job_is_cancelled_whose_folder_is_gone(job: Job, tmp_path: Path) -> None:
    executor = Scripted(waits=9)
    gone = executor.submit(replace(job, directory=tmp_path / "gone"))
    next(executor.events())
    executor.cancel(gone)
    assert executor.asked_to_stop == [gone]


def test_a_job_that_is_submitted_again_while_the_queue_is_stopped_is_forgotten_too(job: Job) -> None:
    """A sweep does so with a job that ran out of memory."""
    executor = Scripted(waits=9)
    executor.submit(job)
    with executor.stopping(lambda event: executor.submit(event.handle.job)):
        next(executor.events())
    assert list(executor.events()) == []


def test_a_loop_that_is_left_early_leaves_no_job(job: Job) -> None:
    executor = Scripted(waits=9)
    left: list[Event] = []
    with executor.stopping(left.append):
        handle = executor.submit(job)
        next(executor.events())
    assert left == [Ended(handle, CUT)]
