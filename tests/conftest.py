"""Conditions of every test: no network, no account, one thread per worker."""

import gc
import os
import signal

# Before anything imports torch or a hub client; the jobs that tests start inherit it.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["WANDB_MODE"] = "offline"
os.environ["WANDB_SILENT"] = "true"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the workers already use every core; a pool of threads each costs time

# What a shell runs in the background ignores Ctrl-C, and so would every process that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

import pytest

from tests.fixtures.checkpoints import remove_checkpoints, share_checkpoints
from tests.fixtures.hypothesis_profile import be_steady

be_steady()


def pytest_configure() -> None:
    """Choose the folder of the tiny checkpoints; workers and jobs inherit it."""
    share_checkpoints()


def pytest_unconfigure() -> None:
    """Remove them."""
    remove_checkpoints()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Make groups hold: pytest-xdist 3.8 appends them to `_nodeid`, and pytest 9.2 reads a test's id from `_id`.

    They come first: they are the longest, and no worker is to be left with one when the other has nothing to do.
    """
    for item in items:
        grouped = getattr(item, "_nodeid", item.nodeid)
        if grouped != item.nodeid:
            item._id = type(item._id).parse(grouped)
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)


def pytest_collection_finish() -> None:
    """Keep what is imported out of every later collection of garbage, which a run asks for: half of a short test."""
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a GPU where there is none; let no command use the W&B process of an earlier test's run.

    That one works in another folder, and writes what is named relative to the command's own there.
    """
    os.environ.pop("WANDB_SERVICE", None)
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("no CUDA device on this machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Golden files change on purpose only."""
    parser.addoption("--update-golden", action="store_true", help="write what comes out as the new golden files")


@pytest.fixture
def update_golden(pytestconfig: pytest.Config) -> bool:
    """Whether golden files are to be written."""
    return bool(pytestconfig.getoption("--update-golden"))
