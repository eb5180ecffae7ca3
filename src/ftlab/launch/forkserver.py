"""Fork server that all jobs on this machine are forked from, started before the jobs are known.

Its imports take longer than composing the configurations, so both run at the same time, on different cores. Names of
modules that only some jobs need are sent to it later, through a named pipe; `multiprocessing` has no channel for that.
"""

import ctypes
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import forkserver
from pathlib import Path
from tempfile import TemporaryDirectory

from ftlab.core.environment import variables_set
from ftlab.core.errors import UserError
from ftlab.core.import_path import SAFE_PATH
from ftlab.launch.temporary_files import TMPDIR, shared_caches

_PIPE = "FTLAB_SERVER_PIPE"  # environment variable of the server: path of the pipe with the names of further modules
_PR_SET_PDEATHSIG = 1  # prctl(2): set the signal that this process receives when its parent ends
_SOCKET_PATH_LIMIT = 92  # bytes; the shortest of the systems' limits
_BELOW_TEMPORARY = len("/pymp-12345678/listener-12345678")  # what `multiprocessing` appends for its socket


class _ForkServer:
    """Handle of this process on its fork server; `multiprocessing` has one server per process."""

    def __init__(self) -> None:
        # with temporary files of the server and its jobs, also of killed ones; removed when this process ends
        self._folder: TemporaryDirectory[str] | None = None
        self._pipe = -1
        self._modules_sent = False

    def start(self) -> None:
        """Start the server: it imports `ftlab.launch.preload`, then waits for `preload_modules`.

        A later call starts another one if this one was killed. That one waits for nothing: jobs import for themselves
        what is missing.

        Raises:
            UserError: no folder for temporary files has a path that is short enough for a socket.
            OSError: that folder cannot be written.
        """
        environment = {SAFE_PATH: os.environ.get(SAFE_PATH) or "1"}  # inherited by the jobs
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="ftlab-server-", ignore_cleanup_errors=True)
            pipe = Path(self._folder.name) / "pipe"
            os.mkfifo(pipe, mode=0o600)
            self._pipe = os.open(pipe, os.O_RDWR)  # stays open, so that the pipe keeps what is written until it is read
            environment[_PIPE] = str(pipe)
            forkserver.set_forkserver_preload(["__main__", "ftlab.launch.preload"])
        environment |= {TMPDIR: self._folder.name, **shared_caches()}
        with variables_set(environment), _without_interrupts(), _short_temporary_path():
            forkserver.ensure_running()

    def preload_modules(self, modules: Sequence[str]) -> None:
        """Have the server import these modules too, then fork jobs; only the first call has an effect."""
        self.start()
        if not self._modules_sent:
            os.write(self._pipe, (" ".join(modules) + "\n").encode())
            self._modules_sent = True


_SERVER = _ForkServer()
start, preload_modules = _SERVER.start, _SERVER.preload_modules


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Have processes that are started in the block ignore Ctrl-C, which reaches the server too: this process acts."""
    if threading.current_thread() is not threading.main_thread():  # others cannot set handlers
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


@contextmanager
def _short_temporary_path() -> Iterator[None]:
    """Have `multiprocessing` create the folder of its socket where the socket's path is not too long."""
    configured = tempfile.tempdir
    if not _fits(tempfile.gettempdir()):
        folders = [folder for folder in ("/tmp", "/var/tmp", "/dev/shm") if os.access(folder, os.W_OK | os.X_OK)]
        if not folders:
            raise UserError(f"TMPDIR={tempfile.gettempdir()} is too long for a socket's path: set a shorter one.")
        tempfile.tempdir = folders[0]
    try:
        yield
    finally:
        tempfile.tempdir = configured


def _fits(folder: str) -> bool:
    return len(os.fsencode(folder)) + _BELOW_TEMPORARY <= _SOCKET_PATH_LIMIT


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
