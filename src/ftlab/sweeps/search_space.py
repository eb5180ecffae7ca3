"""Search space of a method: its `search` as plain values, checked before anything starts."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString

from ftlab.core.errors import ConfigError

Value = str | float | bool | None
Point = dict[str, Value]  # key of the configuration -> value

SHORT_KEYS = {"lr": "optim.lr"}  # the learning rate in use, wherever the method's own default comes from
_BOUND_KEYS = {"low", "high"}
_RANGE_KEYS = {*_BOUND_KEYS, "log", "step"}
_FORM = "write a list of values, or {low: A, high: B} with log: true or step: C"


@dataclass(frozen=True)
class Choices:
    """Unordered list of values, as for `suggest_categorical`."""

    values: tuple[Value, ...]

    @property
    def num_values(self) -> int:
        """Number of values."""
        return len(self.values)

    def __iter__(self) -> Iterator[Value]:
        return iter(self.values)

    @property
    def boundary_values(self) -> tuple[Value, ...]:
        """Values that are composed and validated before anything starts: all of them."""
        return self.values


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; integers if both are integers.

    Attributes:
        low: smallest value.
        high: largest value.
        log: whether to sample on a logarithmic scale.
        step: distance between neighbouring values; None: 1 for integers, continuous for others.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None

    @property
    def is_integer(self) -> bool:
        """Whether the values are integers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def num_values(self) -> int | None:
        """Number of values; None for a continuous range."""
        step = self.step or (1 if self.is_integer else None)
        return None if step is None else math.floor((self.high - self.low) / step + 1e-9) + 1

    def __iter__(self) -> Iterator[Value]:
        assert self.num_values is not None
        return (self.low + number * (self.step or 1) for number in range(self.num_values))

    @property
    def boundary_values(self) -> tuple[Value, ...]:
        """Values that are composed and validated before anything starts: both ends."""
        return self.low, self.high


Space = dict[str, Choices | Range]  # key of the configuration -> its possible values


def read_space(search: Mapping[str, Any], owner: str) -> Space:
    """Return the search space that a method's `search` describes.

    Args:
        search: key -> list of values, or range. `lr` is short for `optim.lr`; dotted keys may also be nested.
        owner: whose `search` it is, for error messages.

    Raises:
        ConfigError: names the key and the valid forms.
    """
    return {
        SHORT_KEYS.get(key, key): _read_dimension(values, f"search.{key} of {owner}")
        for key, values in _flatten(search)
    }


def num_points(space: Space) -> int | None:
    """Return the number of points; None for a continuous space. An empty space has one: the defaults."""
    counts = [dimension.num_values for dimension in space.values()]
    finite_counts = [count for count in counts if count is not None]
    return math.prod(finite_counts) if len(finite_counts) == len(counts) else None


def grid_points(space: Space) -> list[Point]:
    """Return every point of a finite space, in the order of the values."""
    return [dict(zip(space, values, strict=True)) for values in product(*space.values())]


def corner_points(space: Space) -> list[Point]:
    """Return a few points that together contain every choice and both ends of every range."""
    boundaries = {key: dimension.boundary_values for key, dimension in space.items()}
    num_corners = max(map(len, boundaries.values()), default=1)
    return [
        {key: values[min(index, len(values) - 1)] for key, values in boundaries.items()} for index in range(num_corners)
    ]


def to_overrides(point: Mapping[str, Value]) -> list[str]:
    """Return a point as Hydra overrides."""
    return [f"{key}={_format_value(value)}" for key, value in point.items()]


def _flatten(search: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, values in search.items():
        if isinstance(values, Mapping) and values and not _RANGE_KEYS & values.keys():
            yield from _flatten(values, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", values


def _read_dimension(values: Any, name: str) -> Choices | Range:
    if isinstance(values, list):
        return _read_choices(values, name)
    if not isinstance(values, Mapping):
        raise ConfigError(f"{name} is {values!r}: {_FORM}.")
    if unknown := sorted(values.keys() - _RANGE_KEYS):
        raise ConfigError(f"{name} has {', '.join(unknown)}, which is no key of a range: {_FORM}.")
    return _read_range(values, name)


def _read_choices(values: list[Any], name: str) -> Choices:
    if not values:
        raise ConfigError(f"{name} is an empty list: {_FORM}.")
    for value in values:
        if not (value is None or isinstance(value, str | bool | int | float)) or value in (math.inf, -math.inf):
            raise ConfigError(f"{name} contains {value!r}: values are numbers, texts, true, false or null.")
    return Choices(tuple(dict.fromkeys(values)))


def _read_range(fields: Mapping[str, Any], name: str) -> Range:
    for key in ("low", "high", "step"):
        value = fields.get(key)
        missing = value is None and key in _BOUND_KEYS
        if missing or isinstance(value, bool) or not (value is None or isinstance(value, int | float)):
            raise ConfigError(f"{name} has {key}={value!r}, which must be a number: {_FORM}.")
        if value is not None and not math.isfinite(value):
            raise ConfigError(f"{name} has {key}={value!r}: give a finite number.")
    log = fields.get("log", False)
    if not isinstance(log, bool):
        raise ConfigError(f"{name} has log={log!r}: write true or false.")
    dimension = Range(fields["low"], fields["high"], log, fields.get("step"))
    low, high, step = dimension.low, dimension.high, dimension.step
    if low >= high:
        raise ConfigError(f"{name} has low={low!r} and high={high!r}: low must be below high.")
    if log and (low <= 0 or step is not None):
        raise ConfigError(f"{name} has log: true: low must be above 0, and step must not be set.")
    if step is not None and (step <= 0 or (dimension.is_integer and not isinstance(step, int))):
        raise ConfigError(f"{name} has step={step!r}: it must be above 0, and an integer if low and high are.")
    return dimension


def _format_value(value: Value) -> str:
    if isinstance(value, str):
        return QuotedString(value, Quote.single).with_quotes()
    return {None: "null", True: "true", False: "false"}[value] if isinstance(value, bool | None) else repr(value)
