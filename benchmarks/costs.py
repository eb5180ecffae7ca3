"""What the steps of a training are spent on: by PyTorch's operations, and by Python's functions between them."""

import cProfile
import io
import pstats
import time
from pathlib import Path

from torch.profiler import ProfilerActivity, profile

_WARM, _PLAIN, _OPERATIONS, _PYTHON = 1, 2, 2, 2  # batches: not looked at, timed, and seen by each of the two
_LINES = 22


class Profile:
    """Watches one stretch of batches after the other; told when each begins."""

    def __init__(self, file: Path) -> None:
        """Take the file to write to."""
        self._file = file
        self._operations = profile(activities=[ProfilerActivity.CPU])
        self._python = cProfile.Profile()
        self._since = 0.0
        self._said: list[str] = []

    def step(self, batch: int) -> None:
        """Begin or end a stretch where this batch is the first or the one after its last."""
        if batch == _WARM:
            self._since = time.process_time()
        elif batch == _WARM + _PLAIN:
            each = (time.process_time() - self._since) / _PLAIN
            self._said.append(f"{each:.3f} s of processor time per batch, nothing watching\n")
            self._operations.start()
        elif batch == _WARM + _PLAIN + _OPERATIONS:
            self._operations.stop()
            table = self._operations.key_averages().table(
                sort_by="self_cpu_time_total", row_limit=_LINES, max_name_column_width=50
            )
            self._said.append(f"PyTorch's operations in {_OPERATIONS} batches\n{_short(table)}\n")
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


def _short(table: str) -> str:
    """Return the table without its rules, and with the columns that matter: name, own share, own time, calls."""
    kept = []
    for line in table.splitlines():
        cells = line.split("  ")
        cells = [cell.strip() for cell in cells if cell.strip()]
        if len(cells) > 6 and not line.startswith("---"):
            kept.append(f"{cells[0]:<50} {cells[1]:>12} {cells[2]:>12} {cells[-1]:>10}")
    return "\n".join(kept)
