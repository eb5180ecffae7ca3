"""Peak memory of the process or GPU, measured in the best way that the machine supports."""

import threading
from pathlib import Path

import psutil
import torch

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_SAMPLE_SECONDS = 0.05


class PeakMemory:
    """Measures the peak memory in bytes: that of the GPU's allocator, Linux's VmHWM, or sampled resident memory.

    Attributes:
        source: how it is measured.
        baseline: bytes in use at the first `start`.
    """

    def __init__(self, device: torch.device, *, highest: int = 0) -> None:
        """Choose the source for this device; `highest` is the peak of a resumed run before its interruption."""
        self._device = device
        self._sampler: _Sampler | None = None
        self._highest = highest
        self.source = "torch.cuda.max_memory_allocated" if device.type == "cuda" else "sampled resident set size"
        self.baseline: int | None = None

    def start(self) -> None:
        """Start measuring: memory used before, or between `stop` and `start`, does not count."""
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
            used = torch.cuda.memory_allocated(self._device)
        else:
            used = psutil.Process().memory_info().rss
            try:
                _CLEAR_REFS.write_text("5")  # proc(5): resets VmHWM to the present resident set size
                self.source = "VmHWM of /proc/self/status"
            except OSError:
                self._sampler = _Sampler()
                self._sampler.start()
        self.baseline = used if self.baseline is None else self.baseline

    def stop(self) -> int:
        """Stop measuring and return the highest use between any `start` and its `stop`."""
        self._highest = self.so_far()
        if self._sampler is not None:
            self._sampler.finish()
        return self._highest

    def so_far(self) -> int:
        """Return the highest use until now, and keep measuring."""
        return max(self._highest, self._current_peak())

    def _current_peak(self) -> int:
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        if self._sampler is not None:
            return self._sampler.highest
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024


class _Sampler(threading.Thread):
    """Thread that samples resident memory where VmHWM cannot be reset (macOS, some containers)."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._done = threading.Event()
        self.highest = 0

    def run(self) -> None:
        process = psutil.Process()
        while not self._done.is_set():
            self.highest = max(self.highest, process.memory_info().rss)
            self._done.wait(_SAMPLE_SECONDS)

    def finish(self) -> None:
        self._done.set()
        self.join()
