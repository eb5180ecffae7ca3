"""Number formats for people: unit and digits are the same in a whole column, so that its rows can be compared."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ftlab.comparison.stats.estimate import Estimate

_TIME = (("h", 3600.0), ("min", 60.0), ("s", 1.0))
_BYTES = (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("B", 1.0))
_COUNT = ((" G", 1e9), (" M", 1e6), (" k", 1e3))
MISSING = "—"
MAX_NAMES = 3  # rows that a sentence names; it counts the rest


@dataclass(frozen=True)
class Scale:
    """Unit and number of decimals of a column.

    Attributes:
        unit: shown in the heading; empty for a plain number.
        factor: the value of one unit in base units (seconds, bytes).
        decimals: digits after the point, the same in every row.
    """

    unit: str
    factor: float
    decimals: int

    def format(self, value: Estimate | None) -> str:
        """Return the mean, with the standard deviation over the seeds if there is one."""
        if value is None:
            return MISSING
        text = self._number(value.mean)
        if value.sd is not None:
            text += f" ± {self._number(value.sd)}"
        return text if value.n == value.of else f"{text} ({value.n} of {value.of} seeds)"

    def _number(self, value: float) -> str:
        scaled = value / self.factor
        return f"{scaled:.{self.decimals}f}" if abs(scaled) < 1e7 else f"{scaled:.3g}"


def metric_scale(values: Sequence[float]) -> Scale:
    """Return a scale for a test metric: three decimals below 10, fewer above (perplexity)."""
    top = max((abs(value) for value in values), default=0.0)
    return Scale("", 1.0, 3 if top < 10 else 2 if top < 100 else 1)


def time_scale(values: Sequence[float]) -> Scale:
    """Return a scale for seconds, in the largest unit in which every row is at least 2."""
    return _scale(values, _TIME, at_least=2.0)


def byte_scale(values: Sequence[float]) -> Scale:
    """Return a scale for bytes, in decimal units (1 MB = 1,000,000 bytes)."""
    return _scale(values, _BYTES, at_least=1.0)


def plain_scale(values: Sequence[float]) -> Scale:
    """Return a scale for a number without unit."""
    return _scale(values, (("", 1.0),), at_least=0.0)


def _scale(values: Sequence[float], units: Sequence[tuple[str, float]], at_least: float) -> Scale:
    low = min((value for value in values if value > 0), default=0.0)
    unit, factor = next((pair for pair in units if low >= at_least * pair[1]), units[-1])
    top = max(values, default=0.0) / factor
    decimals = 2 if top < 10 else 1 if top < 1000 else 0
    return Scale(unit, factor, 0 if unit == "B" else decimals)


def format_count(value: float) -> str:
    """Return a count to three digits: 295 k, 22.7 M."""
    for name, factor in _COUNT:
        if value >= factor * 0.9995:  # 999,950 rounds to 1.00 M, not to 1000 k
            return f"{_three_digits(value / factor)}{name}"
    return f"{value:.0f}"


def format_size(value: float) -> str:
    """Return a size in bytes to three digits: 1.19 MB."""
    for name, factor in _BYTES[:-1]:
        if value >= factor * 0.9995:
            return f"{_three_digits(value / factor)} {name}"
    return f"{value:.0f} B"


def format_duration(seconds: float) -> str:
    """Return a duration as hours, minutes and seconds: 1:04:09."""
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def format_percent(part: float, whole: float) -> str:
    """Return part / whole in per cent."""
    percent = 100 * part / whole
    if percent in (0, 100):
        return f"{percent:.0f} %"
    if percent < 0.01:
        return "<0.01 %"
    return f"{percent:.2f} %" if percent < 10 else f"{percent:.1f} %"


def _three_digits(value: float) -> str:
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def name_some(names: Sequence[str], limit: int = MAX_NAMES) -> str:
    """Return names for a sentence or a cell: the first ones, and how many more there are."""
    return ", ".join(names) if len(names) <= limit else f"{', '.join(names[:limit])} and {len(names) - limit} more"


def format_seeds(seeds: Iterable[int]) -> str:
    """Return seeds in words, at least one, in ascending order: `seed 0`, `seeds 0 to 2, 5`."""
    ordered = sorted(set(seeds))
    ranges: list[list[int]] = []
    for seed in ordered:
        if ranges and seed == ranges[-1][-1] + 1:
            ranges[-1].append(seed)
        else:
            ranges.append([seed])
    texts = [
        f"{members[0]} to {members[-1]}" if len(members) > 2 else ", ".join(map(str, members)) for members in ranges
    ]
    return f"{'seed' if len(ordered) == 1 else 'seeds'} {', '.join(texts)}"


def printable(text: str) -> str:
    """Return a text from a file in one line, without characters that would control a terminal."""
    return "".join(character if character.isprintable() else "�" for character in " ".join(text.split()))
