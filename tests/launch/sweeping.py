"""Sweeps of tiny models inside the test's own process; their jobs are processes of their own."""

import os
import signal
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from ftlab.checkpoints import FOLDER, all_points
from ftlab.launch.local import LocalExecutor
from ftlab.record import RunRecord, read_record
from ftlab.schema import RunConfig
from ftlab.sweep import run_name, run_sweep
from tests.fixtures.compose import composed
from tests.rows import classification_csv
from tests.tiny import save_tiny

FAILING = """
import os

from lightning.pytorch import Callback

from ftlab.methods.selective import Full


class Fails(Callback):
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if os.environ.get("RANK") == "1" and trainer.global_step == 2:
            raise RuntimeError("rank 1 has had enough")


class Failing(Full):
    def callbacks(self):
        return [Fails()]
"""


def make_place(folder: Path) -> list[str]:
    """Put a tiny model and rows into a folder; return the settings that train the one on the others, for a moment."""
    save_tiny("bert", folder / "tiny")
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
    """A folder with a tiny model and rows, and what is needed to run sweeps on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = [*make_place(folder), "hardware=cpu"]

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


def directory_of(config: RunConfig) -> Path:
    return Path(config.sweep.dir) / run_name(config)


def _saved(directory: Path) -> int:
    return max((point.step for point in all_points(directory / FOLDER)), default=0)


def _kill(directory: Path, step: int, over: threading.Event) -> None:
    while _saved(directory) < step:
        if over.wait(0.002):
            return  # it ended by itself: its record says how
    os.kill(read_record(directory).process.pid, signal.SIGKILL)


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"))
