"""Stops of training that can be resumed, after a checkpoint: by a signal, or at the end of a rung."""

import signal
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)  # USR2: sent by Slurm at the time limit and on preemption


def is_ignored(signum: int) -> bool:
    """Return whether a signal was to be ignored when this process started, as SIGHUP is by nohup, or is since."""
    return signal.getsignal(signum) == signal.SIG_IGN


class Stopped(SystemExit):
    """A signal stopped the job.

    Attributes:
        signum: number of the signal.
    """

    def __init__(self, signum: int) -> None:
        """Derive the exit status from the signal."""
        super().__init__(128 + signum)
        self.signum = signum

    def __str__(self) -> str:
        """Return a message with the signal's name."""
        return f"stopped by {signal.Signals(self.signum).name}"


class Paused(Exception):
    """A run has reached the end of its rung (`search.rung`); a larger one continues it from its checkpoint."""


class StopSignals:
    """Handler that raises `Stopped` at once, or only notes the signal while `deferring`.

    Attributes:
        received: the first signal that was received; None: none was.
        deferring: whether signals are only noted in `received`; training reads it between two optimizer steps.
    """

    def __init__(self) -> None:
        """Start without handlers; `install` registers them."""
        self.received: int | None = None
        self.deferring = False

    def install(self) -> None:
        """Register the handlers; call it again after another library (Lightning) has registered its own."""
        for signum in SIGNALS:
            signal.signal(signum, self._handle)

    def _handle(self, signum: int, _: FrameType | None) -> None:
        self.received = self.received or signum
        if not self.deferring:
            raise Stopped(signum)
