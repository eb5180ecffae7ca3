"""High-water mark of memory over stretches of time, by the best means the machine has."""

import threading
from pathlib import Path

import psutil
import torch

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_SAMPLE_SECONDS = 0.05


class PeakMemory:
    """Measures the peak in bytes: of the GPU's allocator, Linux's high-water mark of resident memory, or sampled.

    Attributes:
        source: how it is measured.
        baseline: what was in use at the first `start`.
    """

    def __init__(self, device: torch.device, *, highest: int = 0) -> None:
        """Choose the means for this device; `highest` is what was measured before the run was interrupted."""
        self._device = device
        self._sampler: _Sampler | None = None
        self._highest = highest
        self.source = "torch.cuda.max_memory_allocated" if device.type == "cuda" else "sampled resident set size"
        self.baseline: int | None = None

    def start(self) -> None:
        """Reset the high-water mark: what comes before, or between `stop` and `start`, does not count."""
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
        """Return the highest use within all stretches from a `start` to its `stop`."""
        self._highest = self.so_far()
        if self._sampler is not None:
            self._sampler.finish()
        return self._highest

    def so_far(self) -> int:
        """Return the same, and let the stretch go on."""
        return max(self._highest, self._mark())

    def _mark(self) -> int:
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        if self._sampler is not None:
            return self._sampler.highest
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024


class _Sampler(threading.Thread):
    """Where the kernel keeps no resettable mark (macOS, some containers), look often."""

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
