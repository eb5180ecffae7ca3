"""Rules of a race, fixed before its first run; light, for the command line."""

from collections import Counter
from math import isfinite
from typing import Literal

from pydantic import model_validator

from ftlab.core.errors import ConfigError
from ftlab.record.parts import Frozen

LOOKS = (2, 3, 4, 5, 6, 8, 10)  # numbers of seeds at which a race is looked at

Goal = Literal["best", "strict", "ranking"]


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
