"""The process that jobs on this machine are forked from: started before it is known what they are.

Its imports take longer than composing does, so they go on meanwhile, on another core. What only some jobs need it is
told when the jobs are known, through a named pipe: `multiprocessing` hands its server no other word.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing import forkserver
from pathlib import Path
from tempfile import TemporaryDirectory

_PIPE = "FTLAB_SERVER_PIPE"  # environment of the server: where it is told what else to import
_PR_SET_PDEATHSIG = 1  # prctl(2): the signal this process gets when its parent is gone


class _Server:
    """What this process knows of its server; `multiprocessing` has one for each process."""

    def __init__(self) -> None:
        self._place: TemporaryDirectory[str] | None = None  # of the pipe; goes with this process
        self._pipe = -1
        self._told = False

    def begin(self) -> None:
        """Start it, where none was: it imports `ftlab.launch.warm`, and then waits for `tell`."""
        if self._place is not None:
            return
        self._place = TemporaryDirectory(prefix="ftlab-server-", ignore_cleanup_errors=True)
        pipe = Path(self._place.name) / "pipe"
        os.mkfifo(pipe, mode=0o600)
        self._pipe = os.open(pipe, os.O_RDWR)  # stays open: what is written waits for the reader
        forkserver.set_forkserver_preload(["__main__", "ftlab.launch.warm"])
        os.environ[_PIPE] = str(pipe)
        forkserver.ensure_running()
        del os.environ[_PIPE]

    def tell(self, modules: Sequence[str]) -> None:
        """Have it import these too, and serve; the first ones that it is told stay."""
        self.begin()
        if not self._told:
            os.write(self._pipe, (" ".join(modules) + "\n").encode())
            self._told = True


_SERVER = _Server()
begin, tell = _SERVER.begin, _SERVER.tell


def end_with_parent() -> None:
    """In the server: be ended when the command is, so that one that is refused leaves no process at work (Linux)."""
    if _PIPE in os.environ and sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def others() -> list[str]:
    """In the server: wait to be told what else to import; ends this process where nobody is left to tell."""
    if _PIPE not in os.environ:
        return []
    with suppress(FileNotFoundError):
        pipe = os.open(os.environ.pop(_PIPE), os.O_RDONLY | os.O_NONBLOCK)  # would wait for a writer otherwise
        os.set_blocking(pipe, True)
        with open(pipe) as lines:
            if told := lines.readline():
                return told.split()
    sys.exit()
