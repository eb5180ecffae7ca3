"""Fork server that all jobs on this machine are forked from, started before the jobs are known.

Its imports take longer than composing the configurations, so both run at the same time, on different cores. Names of
modules that only some jobs need are sent to it later, through a named pipe; `multiprocessing` has no channel for that.
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

_PIPE = "FTLAB_SERVER_PIPE"  # environment variable of the server: path of the pipe with the names of further modules
_PR_SET_PDEATHSIG = 1  # prctl(2): set the signal that this process receives when its parent ends


class _ForkServer:
    """Handle of this process on its fork server; `multiprocessing` has one server per process."""

    def __init__(self) -> None:
        self._pipe_dir: TemporaryDirectory[str] | None = None  # removed when this process ends
        self._pipe = -1
        self._modules_sent = False

    def start(self) -> None:
        """Start the server, once: it imports `ftlab.launch.preload`, then waits for `preload_modules`."""
        if self._pipe_dir is not None:
            return
        self._pipe_dir = TemporaryDirectory(prefix="ftlab-server-", ignore_cleanup_errors=True)
        pipe = Path(self._pipe_dir.name) / "pipe"
        os.mkfifo(pipe, mode=0o600)
        self._pipe = os.open(pipe, os.O_RDWR)  # stays open, so that the pipe keeps what is written until it is read
        forkserver.set_forkserver_preload(["__main__", "ftlab.launch.preload"])
        os.environ[_PIPE] = str(pipe)
        forkserver.ensure_running()
        del os.environ[_PIPE]

    def preload_modules(self, modules: Sequence[str]) -> None:
        """Have the server import these modules too, then fork jobs; only the first call has an effect."""
        self.start()
        if not self._modules_sent:
            os.write(self._pipe, (" ".join(modules) + "\n").encode())
            self._modules_sent = True


_SERVER = _ForkServer()
start, preload_modules = _SERVER.start, _SERVER.preload_modules


def end_with_parent() -> None:
    """In the server: end with the parent (Linux), so that a command that fails early leaves no process behind."""
    if _PIPE in os.environ and sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def requested_modules() -> list[str]:
    """In the server: wait for the names of further modules to import; exit if the parent has ended."""
    if _PIPE not in os.environ:
        return []
    with suppress(FileNotFoundError):
        pipe = os.open(os.environ.pop(_PIPE), os.O_RDONLY | os.O_NONBLOCK)  # opening would block without a writer
        os.set_blocking(pipe, True)
        with open(pipe) as lines:
            if line := lines.readline():
                return line.split()
    sys.exit()
