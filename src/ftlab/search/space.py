"""What may be tried: the `search` of a method as plain values, checked before anything starts."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString

from ftlab.errors import ConfigError

Value = str | float | bool | None
Point = dict[str, Value]  # key of the configuration -> value

SHORT = {"lr": "optim.lr"}  # the rate in force, whatever the method takes its own from
_BOUNDS = {"low", "high"}
_RANGE = {*_BOUNDS, "log", "step"}
_FORM = "write a list of values, or {low: A, high: B} with log: true or step: C"


@dataclass(frozen=True)
class Choices:
    """A list of values without an order."""

    values: tuple[Value, ...]

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.values)

    def __iter__(self) -> Iterator[Value]:
        return iter(self.values)

    @property
    def ends(self) -> tuple[Value, ...]:
        """What is composed before anything starts, to see that it is valid: all of them."""
        return self.values


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; whole ones where both are whole.

    Attributes:
        low: the least.
        high: the greatest.
        log: whether equal ratios are equally likely, not equal differences.
        step: distance of neighbours; None: 1 for whole numbers, any for others.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None

    @property
    def whole(self) -> bool:
        """Whether these are whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def size(self) -> int | None:
        """How many there are; None: any number of them."""
        step = self.step or (1 if self.whole else None)
        return None if step is None else math.floor((self.high - self.low) / step + 1e-9) + 1

    def __iter__(self) -> Iterator[Value]:
        assert self.size is not None
        return (self.low + number * (self.step or 1) for number in range(self.size))

    @property
    def ends(self) -> tuple[Value, ...]:
        """What is composed before anything starts, to see that it is valid: both ends."""
        return self.low, self.high


Space = dict[str, Choices | Range]  # key of the configuration -> what it may be


def read_space(search: Mapping[str, Any], of: str) -> Space:
    """Return the space that a method's `search` describes.

    Args:
        search: key -> list of values, or range. `lr` is short for `optim.lr`; keys below one another may be nested.
        of: whose it is, for the error.

    Raises:
        ConfigError: one sentence that names the key and the form that it should have.
    """
    return {SHORT.get(key, key): _dimension(given, f"search.{key} of {of}") for key, given in _flat(search)}


def size(space: Space) -> int | None:
    """Return how many points there are; None: any number. The empty space has one, the defaults."""
    sizes = [dimension.size for dimension in space.values()]
    known = [number for number in sizes if number is not None]
    return math.prod(known) if len(known) == len(sizes) else None


def grid(space: Space) -> list[Point]:
    """Return every point of a finite space, in the order in which the values stand."""
    return [dict(zip(space, values, strict=True)) for values in product(*space.values())]


def corners(space: Space) -> list[Point]:
    """Return as few points as hold every choice and both ends of every range."""
    ends = {key: dimension.ends for key, dimension in space.items()}
    most = max(map(len, ends.values()), default=1)
    return [{key: values[min(place, len(values) - 1)] for key, values in ends.items()} for place in range(most)]


def overrides(point: Mapping[str, Value]) -> list[str]:
    """Return a point as overrides of the command line."""
    return [f"{key}={_text(value)}" for key, value in point.items()]


def _flat(search: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, given in search.items():
        if isinstance(given, Mapping) and given and not _RANGE & given.keys():
            yield from _flat(given, f"{above}{key}.")
        else:
            yield f"{above}{key}", given


def _dimension(given: Any, name: str) -> Choices | Range:
    if isinstance(given, list):
        return _choices(given, name)
    if not isinstance(given, Mapping):
        raise ConfigError(f"{name} is {given!r}: {_FORM}.")
    if unknown := sorted(given.keys() - _RANGE):
        raise ConfigError(f"{name} has {', '.join(unknown)}, which no range has: {_FORM}.")
    return _range(given, name)


def _choices(given: list[Any], name: str) -> Choices:
    if not given:
        raise ConfigError(f"{name} is an empty list: {_FORM}.")
    for value in given:
        if not (value is None or isinstance(value, str | bool | int | float)) or value in (math.inf, -math.inf):
            raise ConfigError(f"{name} holds {value!r}: values are numbers, texts, true, false or null.")
    return Choices(tuple(dict.fromkeys(given)))


def _range(given: Mapping[str, Any], name: str) -> Range:
    for key in ("low", "high", "step"):
        value = given.get(key)
        missing = value is None and key in _BOUNDS
        if missing or isinstance(value, bool) or not (value is None or isinstance(value, int | float)):
            raise ConfigError(f"{name} has {key}={value!r}, and it must be a number: {_FORM}.")
        if value is not None and not math.isfinite(value):
            raise ConfigError(f"{name} has {key}={value!r}: give a finite number.")
    log = given.get("log", False)
    if not isinstance(log, bool):
        raise ConfigError(f"{name} has log={log!r}: write true or false.")
    found = Range(given["low"], given["high"], log, given.get("step"))
    if found.low >= found.high:
        raise ConfigError(f"{name} has low={found.low!r} and high={found.high!r}: low must be below high.")
    if log and (found.low <= 0 or found.step is not None):
        raise ConfigError(f"{name} has log: true: low must be above 0, and step left out.")
    if found.step is not None and (found.step <= 0 or (found.whole and not isinstance(found.step, int))):
        raise ConfigError(f"{name} has step={found.step!r}: it must be above 0, and whole where low and high are.")
    return found


def _text(value: Value) -> str:
    if isinstance(value, str):
        return QuotedString(value, Quote.single).with_quotes()
    return {None: "null", True: "true", False: "false"}[value] if isinstance(value, bool | None) else repr(value)
