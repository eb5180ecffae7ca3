"""Interrupts of a command by the user, and the sentence that says how to go on."""

import contextlib
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from ftlab.config.secrets import BLANK
from ftlab.core.signals import is_ignored
from ftlab.record.folder import relative_to_cwd
from ftlab.sweeps.command_line import command_line


class Interrupted(Exception):
    """The user stopped the command, with a signal.

    Attributes:
        signum: number of the signal.
        remedy: how to go on, if that is known.
    """

    def __init__(self, signum: int, remedy: str | None = None) -> None:
        """Store the number of the signal, for the exit status."""
        super().__init__(signum, remedy)
        self.signum = signum
        self.remedy = remedy

    def __str__(self) -> str:
        """Return a sentence; behind a command there is no full stop, so that it can be copied."""
        name = signal.Signals(self.signum).name
        return f"interrupted by {name}; {self.remedy}" if self.remedy else f"stopped by {name}."


def resuming_remedy(sweep: Path) -> str:
    """Return which command resumes the jobs of a sweep: its own, if that names the folder."""
    if any(word.lstrip("+").startswith(("sweep.name=", "sweep.dir=")) for word in sys.argv):
        return "run the same command again to go on."
    folder = relative_to_cwd(sweep.resolve())
    setting = f"sweep.name={folder.name}" if folder == Path("outputs", folder.name) else f"sweep.dir={sweep}"
    words = [*command_line(), setting]
    if any(BLANK in word for word in words):  # with a secret blanked it would not run
        return f"run the same command with {setting} to go on."
    if words[0] == "python" and not Path(words[1]).exists() and Path(sys.argv[0]).exists():
        words[1] = sys.argv[0]  # the script of another folder than the working directory
    return f"run the same command with {setting} to go on: {shlex.join(words)}"


@contextlib.contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """Raise `Interrupted` for SIGINT, SIGTERM and SIGHUP in the block; what is ignored, as by nohup, stays so."""

    def interrupt(signum: int, _: FrameType | None) -> None:
        raise Interrupted(signum)

    previous_handlers = {
        signum: signal.signal(signum, interrupt)
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if not is_ignored(signum)
    }
    try:
        yield
    finally:
        for signum, handler in previous_handlers.items():
            signal.signal(signum, handler)
