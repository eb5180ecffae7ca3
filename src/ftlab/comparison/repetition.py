"""Repetition of a run: whether its results are equal, and in what else the two records differ."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ftlab.comparison.settings import flatten_config
from ftlab.record import Metric, RunRecord

_UNSET = "unset"
_DIGITS = 12  # of a hash


@dataclass(frozen=True)
class Difference:
    """Fact about two runs that is not the same."""

    name: str
    then: Any
    now: Any


@dataclass(frozen=True)
class MetricPair:
    """Test metric of both runs.

    Attributes:
        name: with the name of the part before it, for a mixture.
        then: its value in the first run; None if it has none.
        now: the same in the repetition.
    """

    name: str
    then: float | None
    now: float | None

    @property
    def equal(self) -> bool:
        """Whether both have the same value, to the bit, or both have none."""
        return self.then == self.now

    @property
    def difference(self) -> float | None:
        """Return the repetition's value minus the first one; None if a value is missing."""
        return None if self.then is None or self.now is None else self.now - self.then


@dataclass(frozen=True)
class Repetition:
    """Comparison of a run with its repetition.

    Attributes:
        settings: settings that determine the result.
        identity: contents of data and base model, and hashes of all that determines the result.
        versions: packages, and the commit of the code.
        hardware: what it was computed on.
        metrics: test metrics that one of them has.
        statuses: of both runs.
    """

    settings: tuple[Difference, ...]
    identity: tuple[Difference, ...]
    versions: tuple[Difference, ...]
    hardware: tuple[Difference, ...]
    metrics: tuple[MetricPair, ...]
    statuses: tuple[str, str]

    @property
    def agrees(self) -> bool:
        """Whether both have results and all of them are equal to the bit."""
        completed = self.statuses == ("completed", "completed")
        return completed and bool(self.metrics) and all(metric.equal for metric in self.metrics)

    @property
    def verdict(self) -> str:
        """Return in a sentence whether the repetition agrees, and what may explain it if not."""
        then, now = self.statuses
        if then != "completed":
            return f"The run that was repeated is {then}: it has no result to agree with."
        if now != "completed":
            return f"The repetition is {now}: it has no result, so it is not known whether it agrees."
        if not self.metrics:
            return "Neither run has test metrics, so it is not known whether the repetition agrees."
        if self.agrees:
            return f"The repetition agrees to the bit: its {len(self.metrics)} test metrics are equal."
        unequal = sum(not metric.equal for metric in self.metrics)
        return (
            f"The repetition does not agree to the bit: {unequal} of {len(self.metrics)} test metrics differ, "
            f"{self._explanation}."
        )

    @property
    def _explanation(self) -> str:
        if self.settings:
            return "and so do its settings"
        if any(difference.name in ("data", "base model") for difference in self.identity):
            return "and so do data or base model"
        causes = {"versions": self.versions, "hardware": self.hardware}
        if differing := [name for name, differences in causes.items() if differences]:
            return f"and so do {' and '.join(differing)}, which may round otherwise"
        return "though nothing else in the records does: this computation is not the same from run to run"


def compare_repetition(then: RunRecord, now: RunRecord) -> Repetition:
    """Compare a run with its repetition, by their records."""
    return Repetition(
        settings=_differences(flatten_config(then.determinants), flatten_config(now.determinants)),
        identity=_differences(*_known_in_both(_identity(then), _identity(now))),
        versions=_differences(_versions(then), _versions(now)),
        hardware=_differences(*_known_in_both(_hardware(then), _hardware(now))),
        metrics=_metric_pairs(then.test_metrics, now.test_metrics),
        statuses=(then.status, now.status),
    )


def _differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[Difference, ...]:
    names = dict.fromkeys([*then, *now])
    pairs = [Difference(name, then.get(name, _UNSET), now.get(name, _UNSET)) for name in names]
    return tuple(pair for pair in pairs if pair.then != pair.now)


def _known_in_both(then: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the facts that both runs got as far as recording."""
    names = [name for name in then if then[name] is not None and now.get(name) is not None]
    return {name: then[name] for name in names}, {name: now[name] for name in names}


def _identity(record: RunRecord) -> dict[str, Any]:
    hashes = {
        "data": record.data.hash if record.data else None,
        "base model": (record.base_model or {}).get("sha256"),
        "config_hash": record.config_hash,
        "fingerprint": record.fingerprint,
    }
    shortened = {name: None if digest is None else str(digest)[:_DIGITS] for name, digest in hashes.items()}
    return {**shortened, "optimizer steps": record.cost.optimizer_steps if record.cost else None}


def _versions(record: RunRecord) -> dict[str, Any]:
    git = record.git or {}
    commit = f"{str(git.get('commit'))[:_DIGITS]}{' with changes' if git.get('dirty') else ''}" if git else None
    return {**record.versions, "git commit": commit}


def _hardware(record: RunRecord) -> dict[str, Any]:
    return record.hardware.model_dump() if record.hardware else {}


def _metric_pairs(then: Mapping[str, Metric], now: Mapping[str, Metric]) -> tuple[MetricPair, ...]:
    names = dict.fromkeys([*then, *now])
    values = {name: [metrics[name].value if name in metrics else None for metrics in (then, now)] for name in names}
    return tuple(MetricPair(name, *pair) for name, pair in values.items())
