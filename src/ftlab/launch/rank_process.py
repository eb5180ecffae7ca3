"""Process of a rank, forked by the fork server; it is followed also after the end of that server."""

import contextlib
import os
import signal
import time
from multiprocessing.context import ForkServerContext, ForkServerProcess
from typing import Any

import psutil

from ftlab.launch import forkserver

_JOIN_SECONDS = 30.0
_START_ATTEMPTS, _RETRY_SECONDS = 20, 0.1  # a killed server closes its socket before its end can be seen
_SERVER_IS_GONE = 255  # exit code that `multiprocessing` reports then; it knows nothing of the process


class RankProcess:
    """A running process.

    Attributes:
        process: as `multiprocessing` knows it.
    """

    def __init__(self, process: ForkServerProcess) -> None:
        """Take a process that was started."""
        self.process = process
        self._id = process.pid or 0
        self._by_id: psutil.Process | None = None
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended
            self._by_id = psutil.Process(self._id)

    @property
    def exitcode(self) -> int | None:
        """The exit code; None: it runs. Without its server only the record tells how it has ended: then it is 255."""
        code = self.process.exitcode
        return None if code == _SERVER_IS_GONE and self._still_runs() else code

    @property
    def sentinel(self) -> int | None:
        """What becomes ready at its end; None: nothing does, as its server is gone."""
        return None if self.process.exitcode == _SERVER_IS_GONE else self.process.sentinel

    @property
    def lost_server(self) -> bool:
        """Whether its server has ended before it, so that its exit code is not known."""
        return self.process.exitcode == _SERVER_IS_GONE

    def signal(self, signum: signal.Signals) -> None:
        """Send a signal if it runs; SIGKILL goes to the processes that it started as well, also after its end."""
        with contextlib.suppress(ProcessLookupError):
            if signum == signal.SIGKILL:
                os.killpg(self._id, signum)  # each rank leads its own process group
        with contextlib.suppress(ProcessLookupError):
            if self.exitcode is None:
                os.kill(self._id, signum)

    def join(self) -> None:
        """Wait for its end."""
        self.process.join()
        if self._still_runs() and self._by_id:
            with contextlib.suppress(psutil.TimeoutExpired):  # nobody has reaped it
                self._by_id.wait(_JOIN_SECONDS)

    def _still_runs(self) -> bool:
        try:
            return bool(self._by_id and self._by_id.is_running() and self._by_id.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False


def start_rank(context: ForkServerContext, **arguments: Any) -> RankProcess:
    """Start a process; if its server was killed, another one is started for it.

    Args:
        context: of the fork server.
        arguments: those of `multiprocessing.Process`.
    """
    process = context.Process(**arguments)
    for attempt in range(_START_ATTEMPTS):
        forkserver.start()
        try:
            process.start()
            break
        except (EOFError, ConnectionError):  # the server was killed just now
            if attempt == _START_ATTEMPTS - 1:
                raise
            time.sleep(_RETRY_SECONDS)
    return RankProcess(process)
