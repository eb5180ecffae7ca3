"""Profile of training steps: time in PyTorch's operations, and in Python's functions between them.

On a GPU operations are those of the device, with the time that it worked.
"""

import cProfile
import io
import pstats
import time
from pathlib import Path
from typing import Any

from meter import arrived, on_gpu
from torch.profiler import ProfilerActivity, profile

_WARM, _PLAIN, _OPERATIONS, _PYTHON = (
    (20, 20, 4, 4) if on_gpu() else (1, 2, 2, 2)
)  # batches: not looked at, timed, and seen by each of the two
_LINES = 22


class Profile:
    """Watches one stretch of batches after the other; told when each begins."""

    def __init__(self, file: Path) -> None:
        """Take the file to write to."""
        self._file = file
        self._operations = profile(activities=[ProfilerActivity.CUDA if on_gpu() else ProfilerActivity.CPU])
        self._python = cProfile.Profile()
        self._since = (0.0, 0.0)
        self._said: list[str] = []

    def step(self, batch: int) -> None:
        """Begin or end a stretch where this batch is the first or the one after its last."""
        if batch == _WARM:
            self._since = _now()
        elif batch == _WARM + _PLAIN:
            clock, processor = ((now - then) / _PLAIN for now, then in zip(_now(), self._since, strict=True))
            self._said.append(f"{clock:.4f} s, {processor:.4f} s of processor time per batch, nothing watching\n")
            self._operations.start()
        elif batch == _WARM + _PLAIN + _OPERATIONS:
            self._operations.stop()
            self._said.append(f"PyTorch's operations in {_OPERATIONS} batches\n{_table(self._operations)}\n")
            self._python.enable()
        elif batch == _WARM + _PLAIN + _OPERATIONS + _PYTHON:
            self._python.disable()
            self._said.append(
                f"Python's functions in {_PYTHON} batches, by the time in themselves\n{self._functions()}"
            )
            self._file.write_text("\n".join(self._said))

    def _functions(self) -> str:
        text = io.StringIO()
        pstats.Stats(self._python, stream=text).strip_dirs().sort_stats("tottime").print_stats(_LINES)
        lines = text.getvalue().splitlines()
        return "\n".join(line for line in lines if line.strip() and "Ordered by" not in line)


def _now() -> tuple[float, float]:
    arrived()
    return time.perf_counter(), time.process_time()


def _table(seen: Any) -> str:
    """Return name, share, milliseconds and calls of what took most time by itself."""
    kind = "self_device_time_total" if on_gpu() else "self_cpu_time_total"
    took = sorted(((getattr(one, kind) / 1e3, one.count, one.key) for one in seen.key_averages()), reverse=True)
    total = sum(time for time, *_ in took)
    lines = [f"{key[:50]:<50} {time / total:>8.1%} {time:>10.3f} {count:>8}" for time, count, key in took[:_LINES]]
    return "\n".join([*lines, f"{'all':<50} {1:>8.1%} {total:>10.3f}"])
