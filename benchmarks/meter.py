"""Meter of one training, the same on both sides: time, processor time, and peak memory of its process.

Both sides tell it through their own library's callbacks when training begins, steps, pauses to evaluate, and ends. Into
ftlab it comes by Lightning's entry point for callbacks, see `installed`, so that what is measured is `train.py` as it
is. Linux only: the peak is the kernel's high-water mark of resident memory, which can be reset. Where DEVICE says gpu,
time is that of the device too, memory is the device's alone, and training begins when the model is there.
"""

import ctypes
import gc
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

MARKS = "FTLAB_BENCH_MARKS"  # environment: the file that gets a line per training
ROOT_PID = "FTLAB_BENCH_PID"  # environment: the process that started it all, whose own time does not count
PROFILE = "FTLAB_BENCH_PROFILE"  # environment: the file that gets a profile; where it is set, no times are kept
DEVICE = "FTLAB_BENCH_DEVICE"  # environment: cpu or gpu

_TICKS = os.sysconf("SC_CLK_TCK")


class Meter:
    """One training. `begin`, `step` at each batch, `pause` ahead of an evaluation, `end`."""

    def __init__(self) -> None:
        """Find out where the marks go, and whether a profile is wanted."""
        self._marks = Path(os.environ[MARKS])
        self._profile = None
        if PROFILE in os.environ:
            from costs import Profile

            self._profile = Profile(Path(os.environ[PROFILE]))
        self._first_step: dict[str, float] = {}
        self._seconds = self._processor = 0.0
        self._since: tuple[float, float] | None = None
        self._base = self._peak = self._batches = 0

    def begin(self) -> None:
        """The model is loaded, and what comes is training: what was freed before is given back to the system."""
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        self._base = in_use()
        self._go_on()

    def step(self) -> None:
        """A batch begins."""
        if not self._first_step:
            self._first_step = {"at": time.time(), "cpu_s": _processor_time_so_far()}
        if self._profile is not None:
            self._profile.step(self._batches)
        self._batches += 1
        if self._since is None:
            self._go_on()

    def pause(self) -> None:
        """Training rests: what comes is evaluation or saving."""
        if self._since is None:
            return
        arrived()
        self._seconds += time.perf_counter() - self._since[0]
        self._processor += time.process_time() - self._since[1]
        self._peak = max(self._peak, peak())
        self._since = None

    def end(self) -> None:
        """Write the line."""
        self.pause()
        found = {
            "pid": os.getpid(),
            "first_step": self._first_step,
            "batches": self._batches,
            "train_s": self._seconds,
            "train_cpu_s": self._processor,
            "base_bytes": self._base,
            "peak_bytes": self._peak,
        }
        with self._marks.open("a") as file:
            file.write(json.dumps(found) + "\n")

    def _go_on(self) -> None:
        arrived()
        reset_peak()
        self._since = time.perf_counter(), time.process_time()


def on_gpu() -> bool:
    """Return whether what is measured runs on a GPU."""
    return os.environ.get(DEVICE) == "gpu"


def arrived() -> None:
    """Wait until the GPU has done what it was told."""
    if on_gpu():
        import torch

        torch.cuda.synchronize()


def in_use() -> int:
    """Return the bytes in use now: tensors on the GPU, or resident memory of the process."""
    if on_gpu():
        import torch

        return torch.cuda.memory_allocated()
    return resident("VmRSS")


def peak() -> int:
    """Return the most bytes in use since `reset_peak`."""
    if on_gpu():
        import torch

        return torch.cuda.max_memory_allocated()
    return resident("VmHWM")


def reset_peak() -> None:
    """Set the high-water mark to what is in use now; that of the process: see proc(5)."""
    if on_gpu():
        import torch

        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5")


def resident(mark: str) -> int:
    """Return a line of /proc/self/status in bytes: resident memory, of files and shared with other processes too."""
    found = re.search(rf"^{mark}:\s+(\d+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


def _processor_time_so_far() -> float:
    """Return the seconds that this process has taken, and those it was started by, up to the benchmark itself."""
    total, pid = 0.0, os.getpid()
    while pid > 1 and pid != int(os.environ.get(ROOT_PID, "0")):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += sum(int(ticks) for ticks in fields[11:15]) / _TICKS  # user, system, and those of children waited for
        pid = int(fields[1])
    return total


def lightning_callbacks() -> list[Any]:
    """Return the callback that Lightning puts into every Trainer where this folder's entry point is installed."""
    if MARKS not in os.environ:
        return []
    from lightning.pytorch import Callback

    meter = Meter()

    class Metered(Callback):
        def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
            if stage == "fit" and not on_gpu():
                meter.begin()

        def on_fit_start(self, *_: Any) -> None:
            if on_gpu():
                meter.begin()

        def on_train_batch_start(self, *_: Any) -> None:
            meter.step()

        def on_validation_start(self, *_: Any) -> None:
            meter.pause()

        def on_train_end(self, *_: Any) -> None:
            meter.end()

    return [Metered()]


def transformers_callback() -> Any:
    """Return the callback for `transformers.Trainer`."""
    from transformers import TrainerCallback

    meter = Meter()

    class Metered(TrainerCallback):
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            meter.begin()

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            meter.step()

        def on_train_end(self, *_: Any, **__: Any) -> None:
            meter.end()

    return Metered()


@contextmanager
def installed() -> Iterator[str]:
    """Give a folder for PYTHONPATH with an entry point to `lightning_callbacks`, for as long as the context lasts."""
    with TemporaryDirectory(prefix="ftlab-meter-") as place:
        info = Path(place) / "ftlab_meter-0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ftlab-meter\nVersion: 0\n")
        (info / "entry_points.txt").write_text(
            "[lightning.pytorch.callbacks_factory]\nftlab_meter = meter:lightning_callbacks\n"
        )
        yield os.pathsep.join([place, str(Path(__file__).parent)])


def read(marks: Path) -> list[dict[str, Any]]:
    """Return the trainings of a file of marks, in order of their first step."""
    found = []
    with suppress(FileNotFoundError):
        found = [json.loads(line) for line in marks.read_text().splitlines()]
    return sorted(found, key=lambda line: line["first_step"].get("at", 0.0))
