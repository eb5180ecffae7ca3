"""A signal stops at once, or waits until it is asked for."""

import os
import signal
from collections.abc import Iterator

import pytest

from ftlab.core.signals import SIGNALS, Stopped, StopSignals


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
