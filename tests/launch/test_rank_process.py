"""A process is followed to its end, also after the fork server that made it was killed."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
import pytest

from ftlab.launch import forkserver
from ftlab.launch.rank_process import RankProcess, start_rank
from tests.launch.sweeping import until

pytestmark = [
    pytest.mark.slow,  # three servers
    pytest.mark.xdist_group("killed servers"),
    pytest.mark.skipif(sys.platform != "linux", reason="finds the server by its command line"),
]
CONTEXT = multiprocessing.get_context("forkserver")


def wait_and_exit(end: Connection, status: int) -> None:
    os.setsid()
    end.send(os.getpid())
    end.recv()
    os._exit(status)


@pytest.fixture
def ends() -> Iterator[tuple[Connection, Connection]]:
    ours, theirs = CONTEXT.Pipe()
    with ours, theirs:
        yield ours, theirs


def started(ends: tuple[Connection, Connection], status: int = 0) -> RankProcess:
    forkserver.preload_modules([])
    rank = start_rank(CONTEXT, target=wait_and_exit, args=(ends[1], status))
    assert ends[0].recv() == rank.process.pid
    return rank


def kill_server() -> None:
    (server,) = [child for child in psutil.Process().children() if "forkserver" in " ".join(child.cmdline())]
    server.kill()


def test_its_exit_code_is_that_of_the_process(ends: tuple[Connection, Connection]) -> None:
    rank = started(ends, 3)
    assert rank.exitcode is None
    assert not rank.lost_server
    ends[0].send("end")
    rank.join()
    assert rank.exitcode == 3


def test_it_goes_on_without_its_server_and_the_next_one_has_another(ends: tuple[Connection, Connection]) -> None:
    rank = started(ends)
    kill_server()
    until(lambda: rank.lost_server, "the server is missed")
    assert rank.exitcode is None
    assert rank.sentinel is None
    ours, theirs = CONTEXT.Pipe()
    with ours, theirs:
        other = started((ours, theirs))
        ours.send("end")
        other.join()
        assert other.exitcode == 0
    assert rank.exitcode is None
    ends[0].send("end")
    rank.join()
    assert rank.exitcode == 255


def test_it_can_be_killed_without_its_server(ends: tuple[Connection, Connection], tmp_path: Path) -> None:
    rank = started(ends)
    kill_server()
    until(lambda: rank.lost_server, "the server is missed")
    rank.signal(signal.SIGKILL)
    rank.join()
    assert rank.exitcode == 255
