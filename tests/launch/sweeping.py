"""Sweeps of tiny models inside the test's own process; their jobs are processes of their own."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from ftlab.config.run_config import RunConfig
from ftlab.launch.local import LocalExecutor
from ftlab.record import RunRecord, read_record
from ftlab.record.checkpoints import FOLDER, resume_points
from ftlab.sweeps.jobs import run_name, run_sweep
from tests.fixtures.checkpoints import tiny
from tests.fixtures.compose import composed
from tests.rows import classification_csv

FAILING = """
import os

from lightning.pytorch import Callback

from ftlab.methods.partial import Full


class Fails(Callback):
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if os.environ.get("RANK") == "1" and trainer.global_step == 2:
            raise RuntimeError("rank 1 has had enough")


class Failing(Full):
    def callbacks(self):
        return [Fails()]
"""

# Every rank stops after its third step, once, and goes on when a signal has come: a test can take its time. Where a
# file `go` lies in the sweep's folder none waits.
WAITING = """
import os
import signal
import time
from pathlib import Path

from lightning.pytorch import Callback

from ftlab.methods.partial import Full


class Waits(Callback):
    step = 3

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        waits = Path(trainer.default_root_dir) / f"waits-{os.environ.get('RANK', '0')}"
        if trainer.global_step < self.step or waits.exists() or (waits.parent.parent / "go").exists():
            return
        signals = []

        def heard(handler):
            return lambda number, frame: (signals.append(number), handler(number, frame))

        handlers = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)}
        for number, handler in handlers.items():
            signal.signal(number, heard(handler))
        waits.touch()
        guard = time.monotonic() + 240
        while not signals and time.monotonic() < guard:
            time.sleep(0.01)
        for number, handler in handlers.items():
            signal.signal(number, handler)


class Waiting(Full):
    def callbacks(self):
        return [Waits()]
"""
WAITING_METHOD = ("method=full", "method._target_=waiting.Waiting", "method.name=waiting")


def make_place(folder: Path) -> list[str]:
    """Put a tiny model and rows into a folder; return the settings that train the one on the others, for a moment."""
    (folder / "tiny").symlink_to(tiny("bert"))
    classification_csv(folder / "rows.csv")
    return [
        "model=hf",
        f"model.name={folder / 'tiny'}",
        "dataset=text_files",
        f"dataset.source.train={folder / 'rows.csv'}",
        "budget=smoke",
        "tracker=none",
    ]


class Bench:
    """A folder with a tiny model and rows, and what is needed to run sweeps on them.

    Methods that fail or wait lie there as modules, for jobs of whoever works in the folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = [*make_place(folder), "hardware=cpu"]
        (folder / "failing.py").write_text(FAILING)
        (folder / "waiting.py").write_text(WAITING)

    def config(self, sweep: str, *overrides: str) -> RunConfig:
        return composed(*self.settings, f"sweep.dir={self.folder / sweep}", *overrides)

    def run(self, configs: Sequence[RunConfig], *, at_once: int = 1) -> list[RunRecord]:
        return run_sweep(list(configs), Path(configs[0].sweep.dir), LocalExecutor(at_once))

    def killing_at(self, config: RunConfig, steps: Sequence[int]) -> RunRecord:
        """Run the same command until it is complete; its job is killed at each of these steps, an attempt each."""
        for step in steps:
            self.kill_at(config, step)
        (record,) = self.run([config])
        return record

    def kill_at(self, config: RunConfig, step: int) -> RunRecord:
        """Run until a checkpoint of this step is there, or one later than there was, and kill the job."""
        directory, over = directory_of(config), threading.Event()
        killer = threading.Thread(target=_kill, args=(directory, max(step, _saved(directory) + 1), over))
        killer.start()
        (record,) = self.run([config])
        over.set()
        killer.join()
        assert record.status == "interrupted", record.failure
        assert record.failure.type == "SIGKILL"
        return record


def until(happened: Callable[[], object], what: str) -> None:
    """Wait for an event; minutes later, say that it never came."""
    guard = time.monotonic() + 300
    while not happened():
        assert time.monotonic() < guard, f"it never came about that {what}"
        time.sleep(0.02)


def until_it_waits(directory: Path, ranks: int = 1) -> None:
    """Wait until all ranks of a `WAITING_METHOD` have come to their third step."""
    until(lambda: len(list(directory.glob("waits-*"))) == ranks, f"{directory.name} trains")


@contextmanager
def meanwhile(action: Callable[[], None]) -> Iterator[None]:
    """Do something in a thread while the block runs; what goes wrong there is raised after it."""
    with ThreadPoolExecutor(1) as threads:
        done = threads.submit(action)
        yield
    done.result()


def directory_of(config: RunConfig) -> Path:
    return Path(config.sweep.dir) / run_name(config)


def _saved(directory: Path) -> int:
    return max((point.step for point in resume_points(directory / FOLDER)), default=0)


def _kill(directory: Path, step: int, over: threading.Event) -> None:
    while _saved(directory) < step:
        if over.wait(0.002):
            return  # it ended by itself: its record says how
    os.kill(read_record(directory).process.pid, signal.SIGKILL)


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"))
