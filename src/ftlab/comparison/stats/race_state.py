"""Rules and state of a race: plain frozen data that is written to disk after each look and read again after a kill."""

from collections import Counter
from math import isfinite
from typing import Literal

from pydantic import model_validator

from ftlab.comparison.stats.race_pairs import PairInterval, PairStatistics
from ftlab.core.errors import ConfigError
from ftlab.record.parts import Frozen

LOOKS = (2, 3, 4, 5, 6, 8, 10)  # numbers of seeds at which a race is looked at

Goal = Literal["best", "strict", "ranking"]
MethodStatus = Literal["active", "dropped", "settled", "failed"]
PairStatus = Literal["open", "ordered", "alike", "futile", "stopped"]
End = Literal["one left", "good enough", "all pairs decided", "futile", "seeds used up", "too many failed"]


class RaceRules(Frozen):
    """Rules of a race, fixed before its first run.

    Attributes:
        methods: the methods, at least two.
        goal: `best`: methods that are not the best are dropped, the best stays; `strict`: no method that equals the
            best is dropped either; `ranking`: every pair is ordered, or found alike.
        margin: difference that does not matter, in the metric's unit.
        alpha: probability of any false decision in the whole race.
        max_seeds: seeds per method at the last look, 2 to 10.
        prior_df: degrees of freedom of the seed variance that a pair borrows at most from the other methods.
        failures: `stop`: a method with a failed run gets no more seeds; `ignore`: its other runs go on.
        chance: the metric's value by guessing; a run below it has collapsed. None: not known.
    """

    methods: tuple[str, ...]
    goal: Goal = "best"
    margin: float = 0.01
    alpha: float = 0.05
    max_seeds: int = LOOKS[-1]
    prior_df: float = 3.0
    failures: Literal["stop", "ignore"] = "stop"
    chance: float | None = None

    @model_validator(mode="after")
    def _check(self) -> "RaceRules":
        repeated = [name for name, count in Counter(self.methods).items() if count > 1]
        if repeated:
            raise ConfigError(f"a race has the method {repeated[0]} twice: name each method once.")
        if len(self.methods) < 2:
            raise ConfigError(f"a race needs at least two methods, not {len(self.methods)}: add one to method=A,B.")
        if not (isfinite(self.margin) and self.margin > 0):
            raise ConfigError(f"race.margin={self.margin} is not a positive number: set race.margin=0.01, for example.")
        if not 0 < self.alpha < 0.5:
            raise ConfigError(f"race.alpha={self.alpha} is not between 0 and 0.5: set race.alpha=0.05, for example.")
        if not LOOKS[0] <= self.max_seeds <= LOOKS[-1]:
            raise ConfigError(
                f"race.max_seeds={self.max_seeds} is not between {LOOKS[0]} and {LOOKS[-1]}: choose one of these."
            )
        return self

    @property
    def looks(self) -> tuple[int, ...]:
        """Return the numbers of seeds at which the race is looked at; the last one is `max_seeds`."""
        return (*(seeds for seeds in LOOKS if seeds < self.max_seeds), self.max_seeds)

    def spent_at(self, seeds: int) -> float:
        """Return the alpha of a look: in proportion to the seeds that are new; that of all looks adds up to `alpha`."""
        position = self.looks.index(seeds)
        return self.alpha * (seeds - (self.looks[position - 1] if position else 0)) / self.max_seeds


class MethodState(Frozen):
    """State of one method after a look.

    Attributes:
        name: the method.
        status: `dropped`: it is not the best; `settled`: all its pairs are decided; `failed`: a run failed.
        by: method that it was dropped for.
        good_enough: number of seeds at which it was found within the margin of the best; None: not found so.
        runs: its runs so far.
        failed: of these, how many failed.
        collapsed: of these, how many ended below chance or far below the method's other runs.
    """

    name: str
    status: MethodStatus = "active"
    by: str | None = None
    good_enough: int | None = None
    runs: int = 0
    failed: int = 0
    collapsed: int = 0


class PairState(Frozen):
    """State of one pair after a look; that of a pair that gets no more seeds is its last.

    Attributes:
        first: a method.
        second: another method.
        status: `ordered`: one is better; `alike`: they differ by less than the margin; `futile`: more seeds would
            hardly decide it (ranking); `stopped`: a method of it stopped before it was decided.
        better: the better method of an ordered pair.
        statistics: difference and variances; None with too few runs.
        interval: of the difference; None without statistics.
    """

    first: str
    second: str
    status: PairStatus = "open"
    better: str | None = None
    statistics: PairStatistics | None = None
    interval: PairInterval | None = None

    @property
    def names(self) -> tuple[str, str]:
        """Return both methods."""
        return self.first, self.second

    def lead_of(self, name: str) -> float:
        """Return by how much a method of the pair is ahead of the other one."""
        difference = self.statistics.difference if self.statistics else 0.0
        return difference if name == self.first else -difference


class Look(Frozen):
    """One look at the race.

    Attributes:
        seeds: seeds of every active method.
        alpha: error probability spent at this look.
        methods: all methods, in the order of the rules.
        pairs: all pairs.
        end: why the race is over; None: it goes on.
    """

    seeds: int
    alpha: float
    methods: tuple[MethodState, ...]
    pairs: tuple[PairState, ...]
    end: End | None = None


class RaceState(Frozen):
    """Rules of a race and its looks so far."""

    rules: RaceRules
    looks: tuple[Look, ...] = ()

    @property
    def methods(self) -> tuple[MethodState, ...]:
        """Return the state of each method."""
        return self.looks[-1].methods if self.looks else tuple(MethodState(name=name) for name in self.rules.methods)

    @property
    def pairs(self) -> tuple[PairState, ...]:
        """Return the state of each pair."""
        if self.looks:
            return self.looks[-1].pairs
        names = self.rules.methods
        return tuple(
            PairState(first=first, second=second)
            for position, first in enumerate(names)
            for second in names[position + 1 :]
        )

    @property
    def active(self) -> tuple[str, ...]:
        """Return the methods that get seeds up to the next look, or that stayed to the end."""
        return tuple(method.name for method in self.methods if method.status == "active")

    @property
    def end(self) -> End | None:
        """Return why the race is over; None: it goes on."""
        return self.looks[-1].end if self.looks else None

    @property
    def is_answered(self) -> bool:
        """Whether the race ended with an answer to its question."""
        return self.end in ("one left", "good enough", "all pairs decided")

    @property
    def next_seeds(self) -> int:
        """Return the seeds of every active method at the next look.

        Raises:
            ConfigError: the race is over.
        """
        if self.end is not None:
            raise ConfigError(
                f"the race is over after {self.looks[-1].seeds} seeds ({self.end}): it has no further look."
            )
        return self.rules.looks[len(self.looks)]

    @property
    def alpha_spent(self) -> float:
        """Return the error probability spent so far."""
        return sum(look.alpha for look in self.looks)

    @property
    def runs(self) -> int:
        """Return the number of runs so far."""
        return sum(method.runs for method in self.methods)

    @property
    def grid(self) -> int:
        """Return the number of runs of the full grid."""
        return len(self.rules.methods) * self.rules.max_seeds
