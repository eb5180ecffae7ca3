"""Learning-rate searches: the rates tried, their validation results and their cost."""

import json
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import fmean, median

from ftlab.comparison.formats import time_scale
from ftlab.comparison.settings import LEARNING_RATE, determining_settings, is_searched_per_seed
from ftlab.comparison.stats.estimate import Estimate
from ftlab.record import RunRecord

SEARCHED_SETTING = LEARNING_RATE
_SEEDS_PER_SEARCH = 10_000  # apart: the trials of a search have the first ones of its own


@dataclass(frozen=True)
class RateResult:
    """Result of one learning rate, over all seeds that the search gives each rate.

    Attributes:
        lr: learning rate.
        value: validation result, the mean over its seeds; None if at least one of them has no value.
        failed: whether it cannot get a value: it diverged, ran out of memory, or failed otherwise.
        pruned: whether it will not get a value because others did better.
        seconds: training time of its runs; for a failed run without a measured time, the time from start to end.
    """

    lr: float
    value: float | None
    failed: bool
    pruned: bool
    seconds: float


@dataclass(frozen=True)
class Tuning:
    """Learning-rate search of one configuration.

    Attributes:
        method: name of the method.
        watched: metric that selects the rate, such as `val/loss`.
        rates: results, from the lowest rate to the highest.
        higher_is_better: whether higher values of that metric are better.
        seed: of the run that it chooses for (`search.per_seed`); None: of one search for all seeds.
    """

    method: str
    watched: str
    rates: tuple[RateResult, ...]
    higher_is_better: bool = False
    seed: int | None = None

    @property
    def best(self) -> float | None:
        """Return the best value; None if no rate has one."""
        return None if not self._values else max(self._values) if self.higher_is_better else min(self._values)

    @property
    def lr(self) -> float | None:
        """Return the rate with the best value, the lowest if several are equal; None if no rate has a value."""
        return next((rate.lr for rate in self.rates if rate.value is not None and rate.value == self.best), None)

    @property
    def median(self) -> float | None:
        """Return the median of the values, the result to expect from a rate taken from the grid at random."""
        return median(self._values) if self._values else None

    @property
    def value_range(self) -> float | None:
        """Return the distance of the best value from the worst, a measure of how much depends on the rate."""
        return max(self._values) - min(self._values) if self._values else None

    @property
    def failed(self) -> int:
        """Return how many rates failed."""
        return sum(rate.failed for rate in self.rates)

    @property
    def pruned(self) -> int:
        """Return how many rates were pruned."""
        return sum(rate.pruned for rate in self.rates)

    @property
    def unfinished(self) -> int:
        """Return how many rates have runs that can still be resumed."""
        return len(self.rates) - self.failed - self.pruned - len(self._values)

    @property
    def seconds(self) -> float:
        """Return the seconds that all trials took, failed ones included."""
        return sum(rate.seconds for rate in self.rates)

    @property
    def _values(self) -> list[float]:
        return [rate.value for rate in self.rates if rate.value is not None]

    def __str__(self) -> str:
        """Return the search in a sentence."""
        states = ((self.pruned, "pruned"), (self.failed, "failed"), (self.unfinished, "open"))
        counts = [f"{number} {what}" for number, what in states if number]
        tried = ", ".join([f"{len(self.rates)} learning rates tried", *counts])
        took = seconds_text(self.seconds)
        name = self.method if self.seed is None else f"{self.method}, seed {self.seed}"
        if self.best is None:
            return f"{name}: {tried} in {took}; none has a value."
        return (
            f"{name}: {tried} in {took}; {self.watched} is {self.best:.4f} at the best, {self.lr:g}; "
            f"the median is {self.median:.4f}, the spread {self.value_range:.4f}."
            + (f" The best is the {self.edge} rate tried: widen method.search.lr." if self.edge else "")
        )

    @property
    def edge(self) -> str:
        """Return `lowest` or `highest` if the best rate is that end of the grid, outside which may be a better one."""
        ends = {self.rates[0].lr: "lowest", self.rates[-1].lr: "highest"}
        return ends.get(self.lr, "") if self.lr is not None and len(self.rates) >= 3 else ""


def seconds_text(seconds: float) -> str:
    """Return a time with its unit."""
    scale = time_scale([seconds])
    return f"{scale.format(Estimate(seconds, None, 1, 1))} {scale.unit}"


def trial_seeds(number: int, run_seed: int | None = None) -> list[int]:
    """Return the seeds of a search's trials: from 10000 on, or from 10000 · (seed + 1) on if it is for one seed.

    They depend on nothing that may be added to a sweep later, so the same search is found again.

    Args:
        number: of seeds for each rate.
        run_seed: of the runs that the search is for; None: it is for those of all seeds.
    """
    first = _SEEDS_PER_SEARCH * ((run_seed or 0) + 1)
    return list(range(first, first + number))


def tuning_from_trials(trials: Sequence[RunRecord], seed: int | None = None) -> Tuning:
    """Return the search with these trials, at least one, which are of one configuration; `seed` as in `Tuning`."""
    by_rate: dict[float, list[RunRecord]] = defaultdict(list)
    for record in trials:
        by_rate[record.config["optim"]["lr"]].append(record)
    watched = trials[0].watched
    return Tuning(
        method=trials[0].method,
        watched=watched.metric if watched else "the validation",
        rates=tuple(_rate_result(lr, records) for lr, records in sorted(by_rate.items())),
        higher_is_better=watched is not None and watched.higher_is_better,
        seed=seed,
    )


class Searches:
    """All trials below some folders, by the search that they belong to."""

    def __init__(self, trials: Iterable[tuple[Path, RunRecord]]) -> None:
        """Take the folder and record of each trial."""
        self._trials: dict[Hashable, list[RunRecord]] = defaultdict(list)
        for folder, record in trials:
            self._trials[_search_key(folder, record)].append(record)

    def tuning_of(self, folder: Path, record: RunRecord) -> Tuning | None:
        """Return the search that chose the learning rate of a run; None if there was none."""
        trials = self._trials.get(_search_key(folder, record), [])
        seed = record.seed if is_searched_per_seed(record) else None
        first, *_ = trial_seeds(1, seed)
        members = [trial for trial in trials if first <= trial.seed < first + _SEEDS_PER_SEARCH]
        if not members and seed is None:  # until December 2026 trials had the seeds of the runs
            members = trials
        return tuning_from_trials(members, seed) if members else None


def _search_key(folder: Path, record: RunRecord) -> Hashable:
    """Return a key that the trials of a search share with the runs that use its rate."""
    settings = {key: value for key, value in determining_settings(record).items() if key != SEARCHED_SETTING}
    names = (record.config.get("search", {}).get("name"), record.method, record.model, record.dataset)
    return (folder.resolve().parent, *names, json.dumps(settings, sort_keys=True))


def _rate_result(lr: float, records: Sequence[RunRecord]) -> RateResult:
    values = [record.objective for record in records if record.status == "completed"]
    present = [value for value in values if value is not None]
    failed = any(
        record.status in ("failed", "oom") or (record.status == "completed" and record.objective is None)
        for record in records
    )
    return RateResult(
        lr=lr,
        value=fmean(present) if len(present) == len(records) else None,
        failed=failed,
        pruned=not failed and any(record.status == "pruned" for record in records),
        seconds=sum(map(_seconds, records)),
    )


def _seconds(record: RunRecord) -> float:
    if record.cost is not None:
        return record.cost.train_s
    if record.finished_at is None:
        return 0.0
    return (datetime.fromisoformat(record.finished_at) - datetime.fromisoformat(record.started_at)).total_seconds()
