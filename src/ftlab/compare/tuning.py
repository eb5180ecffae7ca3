"""What a search for learning rates tried, how its trials came out on the validation split, and what they cost."""

import json
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import fmean, median

from ftlab.compare.formats import time_scale
from ftlab.compare.settings import decisive
from ftlab.compare.stats import Estimate
from ftlab.record import RunRecord

SEARCHED = "optim.lr"


@dataclass(frozen=True)
class Rate:
    """One trial: a learning rate, with as many seeds as the search gives each.

    Attributes:
        lr: the rate.
        value: what validation said of it, the mean over its seeds; None: at least one of them has no value.
        failed: whether it will have none: it diverged, ran out of memory, or failed otherwise.
        seconds: training time of its runs; of one that failed, and measured none, the time from start to end.
    """

    lr: float
    value: float | None
    failed: bool
    seconds: float


@dataclass(frozen=True)
class Tuning:
    """The search for one configuration's rate.

    Attributes:
        method: whose it is.
        watched: what decides, such as `val/loss`.
        rates: the trials, from the lowest rate to the highest.
        higher_is_better: whether a high value of what decides is good.
    """

    method: str
    watched: str
    rates: tuple[Rate, ...]
    higher_is_better: bool = False

    @property
    def best(self) -> float | None:
        """Return the best value; None where no trial has one."""
        return None if not self._values else max(self._values) if self.higher_is_better else min(self._values)

    @property
    def lr(self) -> float | None:
        """Return the rate of the best value, of equal ones the lowest."""
        return next((rate.lr for rate in self.rates if rate.value is not None and rate.value == self.best), None)

    @property
    def median(self) -> float | None:
        """Return the median of the values: what a rate taken blindly from the grid gives half of the time."""
        return median(self._values) if self._values else None

    @property
    def spread(self) -> float | None:
        """Return the distance of the best value from the worst: how much hangs on the rate."""
        return max(self._values) - min(self._values) if self._values else None

    @property
    def failed(self) -> int:
        """Return how many trials failed."""
        return sum(rate.failed for rate in self.rates)

    @property
    def open(self) -> int:
        """Return how many trials are still to be gone on with."""
        return len(self.rates) - self.failed - len(self._values)

    @property
    def seconds(self) -> float:
        """Return what all trials took, failed ones included."""
        return sum(rate.seconds for rate in self.rates)

    @property
    def _values(self) -> list[float]:
        return [rate.value for rate in self.rates if rate.value is not None]

    def __str__(self) -> str:
        """Return the search in a sentence."""
        counts = [f"{number} {what}" for number, what in ((self.failed, "failed"), (self.open, "open")) if number]
        tried = ", ".join([f"{len(self.rates)} learning rates tried", *counts])
        scale = time_scale([self.seconds])
        took = f"{scale.show(Estimate(self.seconds, None, 1, 1))} {scale.unit}"
        if self.best is None:
            return f"{self.method}: {tried} in {took}; none has a value."
        return (
            f"{self.method}: {tried} in {took}; {self.watched} is {self.best:.4f} at the best, {self.lr:g}; "
            f"the median is {self.median:.4f}, the spread {self.spread:.4f}.{self._edge}"
        )

    @property
    def _edge(self) -> str:
        """Return what to do where the best rate is at an end of the grid: the true best may lie outside."""
        ends = {self.rates[0].lr: "lowest", self.rates[-1].lr: "highest"}
        if len(self.rates) < 3 or self.lr not in ends:
            return ""
        return f" The best is the {ends[self.lr]} rate tried: widen method.search.lr."


def tuning(trials: Sequence[RunRecord]) -> Tuning:
    """Return the search that these trials are, those of one configuration; at least one."""
    by_rate: dict[float, list[RunRecord]] = defaultdict(list)
    for record in trials:
        by_rate[record.config["optim"]["lr"]].append(record)
    watched = trials[0].watched
    return Tuning(
        method=trials[0].method,
        watched=watched.metric if watched else "the validation",
        rates=tuple(_rate(lr, records) for lr, records in sorted(by_rate.items())),
        higher_is_better=watched is not None and watched.higher_is_better,
    )


def searches(trials: Iterable[tuple[Path, RunRecord]]) -> dict[Hashable, Tuning]:
    """Return the searches behind trials, each by what `searched` returns for it and for the runs that it is for."""
    found: dict[Hashable, list[RunRecord]] = defaultdict(list)
    for folder, record in trials:
        found[searched(folder, record)].append(record)
    return {key: tuning(records) for key, records in found.items()}


def searched(folder: Path, record: RunRecord) -> Hashable:
    """Return what is the same for the trials of a search and for the runs whose rate it chose."""
    settings = {key: value for key, value in decisive(record).items() if key != SEARCHED}
    own = (record.config.get("search", {}).get("name"), record.method, record.model, record.dataset)
    return (folder.resolve().parent, *own, json.dumps(settings, sort_keys=True))


def _rate(lr: float, records: Sequence[RunRecord]) -> Rate:
    values = [record.objective for record in records if record.status == "completed"]
    known = [value for value in values if value is not None]
    return Rate(
        lr=lr,
        value=fmean(known) if len(known) == len(records) else None,
        failed=any(
            record.status in ("failed", "oom") or (record.status == "completed" and record.objective is None)
            for record in records
        ),
        seconds=sum(map(_seconds, records)),
    )


def _seconds(record: RunRecord) -> float:
    if record.cost is not None:
        return record.cost.train_s
    if record.finished_at is None:
        return 0.0
    return (datetime.fromisoformat(record.finished_at) - datetime.fromisoformat(record.started_at)).total_seconds()
