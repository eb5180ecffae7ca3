"""Rules and state of a race: plain frozen data that is written to disk after each look and read again after a kill."""

from typing import Literal

from ftlab.comparison.stats.race_pairs import PairInterval, PairStatistics
from ftlab.comparison.stats.race_rules import RaceRules
from ftlab.core.errors import ConfigError
from ftlab.record.parts import Frozen

MethodStatus = Literal["active", "dropped", "settled", "failed"]
PairStatus = Literal["open", "ordered", "alike", "futile", "stopped"]
End = Literal["one left", "good enough", "all pairs decided", "futile", "seeds used up", "too many failed"]


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
