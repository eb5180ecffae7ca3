"""How a job is told to stop: by a signal, which training heeds when it can be gone on with later."""

import signal
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)  # USR2: what Slurm's time limit and preemption send


class Stopped(SystemExit):
    """The job was told to stop; carries the signal's number."""

    def __init__(self, signum: int) -> None:
        """Keep the signal for the exit status."""
        super().__init__(128 + signum)
        self.signum = signum

    def __str__(self) -> str:
        """Name the signal."""
        return f"stopped by {signal.Signals(self.signum).name}"


class StopSignals:
    """Turns signals into `Stopped`: at once, or, while somebody is `patient`, when they ask.

    Attributes:
        received: the first signal that came; null: none did.
        patient: whether signals wait to be asked for.
    """

    def __init__(self) -> None:
        """Hear nothing yet."""
        self.received: int | None = None
        self.patient = False

    def install(self) -> None:
        """Hear the signals from now on; again where somebody else (Lightning) has put a handler in between."""
        for signum in SIGNALS:
            signal.signal(signum, self._handle)

    def _handle(self, signum: int, _: FrameType | None) -> None:
        self.received = self.received or signum
        if not self.patient:
            raise Stopped(signum)
