"""A signal stops at once, or waits until it is asked for."""

import os
import signal
from collections.abc import Iterator

import pytest

from ftlab.core.signals import SIGNALS, Stopped, StopSignals
from ftlab.sweeps.interrupts import Interrupted, signals_as_interrupts


@pytest.fixture
def stop() -> Iterator[StopSignals]:
    before = {signum: signal.getsignal(signum) for signum in SIGNALS}
    signals = StopSignals()
    signals.install()
    yield signals
    for signum, handler in before.items():
        signal.signal(signum, handler)


@pytest.mark.parametrize("signum", SIGNALS)
def test_at_once(stop: StopSignals, signum: signal.Signals) -> None:
    with pytest.raises(Stopped) as told:
        os.kill(os.getpid(), signum)
    assert signum.name in str(told.value)
    assert told.value.code == 128 + signum


def test_the_first_one_is_kept_while_somebody_is_patient(stop: StopSignals) -> None:
    stop.deferring = True
    os.kill(os.getpid(), signal.SIGUSR2)
    os.kill(os.getpid(), signal.SIGTERM)
    assert stop.received == signal.SIGUSR2


@pytest.mark.parametrize("signum", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_a_sweep_leaves_ignored_what_was_ignored_when_it_began(signum: signal.Signals) -> None:
    """As nohup has SIGHUP ignored, and a shell SIGINT for what it starts in the background."""
    before = signal.signal(signum, signal.SIG_IGN)
    try:
        with signals_as_interrupts():
            os.kill(os.getpid(), signum)
            for other in {signal.SIGHUP, signal.SIGINT, signal.SIGTERM} - {signum}:
                with pytest.raises(Interrupted):
                    os.kill(os.getpid(), other)
        assert signal.getsignal(signum) == signal.SIG_IGN
    finally:
        signal.signal(signum, before)
