"""Data classes of a comparison, plain and frozen: runs, configurations (seeds together), tables, warnings."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path

from ftlab.comparison.stats.estimate import Estimate, estimate
from ftlab.comparison.stats.inference import Family
from ftlab.comparison.tuning import SEARCHED_SETTING, Tuning
from ftlab.record import MetricColumn, RunRecord


@dataclass(frozen=True)
class ComparedRun:
    """One run: its record, its folder, and the label of its configuration."""

    folder: Path
    record: RunRecord
    settings: Mapping[str, str]  # dotted key -> text, what distinguishes it from the method's other configurations
    configuration_key: str  # equal for runs that differ in nothing but the seed
    tuning: Tuning | None = None  # the search that chose its learning rate

    @property
    def label_suffix(self) -> str:
        """Return its distinguishing settings as in an override: `optim.lr=0.001`; may be empty."""
        return " ".join(f"{key}={text}" for key, text in self.settings.items())

    @property
    def label(self) -> str:
        """Return the configuration's name."""
        return f"{self.record.method} {self.label_suffix}".strip()

    @property
    def completed(self) -> bool:
        """Whether the run reached its end, final test included."""
        return self.record.status == "completed"

    def test(self, name: str) -> float | None:
        """Return the value of a test metric; None if it is missing or not finite."""
        metric = self.record.test_metric(name)
        if metric is None or metric.value is None or not isfinite(metric.value):
            return None
        return metric.value

    @property
    def train_s(self) -> float | None:
        """Return the seconds of training alone; None if nothing was trained."""
        cost = self.record.cost
        return cost.train_s if cost and cost.optimizer_steps else None

    @property
    def run_s(self) -> float | None:
        """Return the seconds of set-up, training and evaluation; None if the run has no cost."""
        cost = self.record.cost
        return None if cost is None else cost.setup_s + cost.train_s + cost.eval_s

    @property
    def tuning_s(self) -> float | None:
        """Return the training seconds of all trials of its search, failed ones included; None: no search."""
        return self.tuning.seconds if self.tuning else None

    @property
    def examples_per_s(self) -> float | None:
        """Return the training throughput."""
        return self.record.cost.examples_per_s if self.record.cost else None

    @property
    def peak_memory_bytes(self) -> float | None:
        """Return the peak memory of training."""
        return self.record.cost.peak_memory_bytes if self.record.cost else None

    @property
    def memory_error(self) -> float | None:
        """Return the relative error of the predicted peak memory; None if prediction or measurement is missing."""
        predicted = self.record.predicted
        return _relative_error(predicted.memory_bytes.peak if predicted else None, self.peak_memory_bytes)

    @property
    def time_error(self) -> float | None:
        """Return the relative error of the predicted training time; None if prediction or measurement is missing."""
        predicted = self.record.predicted
        return _relative_error(predicted.train_s if predicted else None, self.train_s)

    @property
    def trainable(self) -> float | None:
        """Return the number of trainable parameters."""
        return self.record.parameters.trainable if self.record.parameters else None

    @property
    def adapter_bytes(self) -> float | None:
        """Return the size on disk of the weights that the method saved."""
        return self.record.parameters.adapter_bytes if self.record.parameters else None

    @property
    def outcome(self) -> str:
        """Return the status in words: with the first line of the error, where it was stopped, or its failed checks."""
        record = self.record
        if record.status in ("paused", "pruned"):
            progress = record.progress
            where = f"at step {progress.step}/{progress.steps}" if progress else "before its first step"
            return f"{record.status} {where}: {'its rung ended' if record.status == 'paused' else 'others did better'}"
        if record.failure is not None:
            where = "" if record.failure.step is None else f" at step {record.failure.step}"
            return f"{record.status}{where}: {record.failure.summary}"
        if record.status == "running" and record.process is not None:
            return f"running on {record.process.host}, process {record.process.pid}"
        failed = sum(check.status == "failed" for check in record.checks.values())
        return f"{record.status}, {failed} failed {'check' if failed == 1 else 'checks'}" if failed else record.status


# name, as in comparison.csv -> a measurement of a run, in base units, which tables average over the seeds
MEASURES: dict[str, Callable[[ComparedRun], float | None]] = {
    "train_s": lambda run: run.train_s,
    "examples_per_s": lambda run: run.examples_per_s,
    "peak_memory_bytes": lambda run: run.peak_memory_bytes,
    "trainable_parameters": lambda run: run.trainable,
    "adapter_bytes": lambda run: run.adapter_bytes,
    "tuning_s": lambda run: run.tuning_s,
    "memory_error": lambda run: run.memory_error,
    "time_error": lambda run: run.time_error,
}


def _relative_error(predicted: float | None, measured: float | None) -> float | None:
    return predicted / measured - 1 if predicted is not None and measured else None


@dataclass(frozen=True)
class Configuration:
    """Completed runs that are equal in everything but the seed: one row of a table."""

    runs: tuple[ComparedRun, ...]  # one per seed, at least one
    marks: tuple[int, ...] = ()  # numbers (from 1) of the table's warnings that apply to this row

    @property
    def method(self) -> str:
        """Return the method's name."""
        return self.runs[0].record.method

    @property
    def settings(self) -> Mapping[str, str]:
        """Return the settings that distinguish it from other configurations of the method; may be empty."""
        return self.runs[0].settings

    @property
    def label_suffix(self) -> str:
        """Return the same as in an override."""
        return self.runs[0].label_suffix

    @property
    def label(self) -> str:
        """Return the row's name."""
        return self.runs[0].label

    def over_seeds(self, measure: Callable[[ComparedRun], float | None]) -> Estimate | None:
        """Return mean and standard deviation of a measurement over the seeds; None if no run has a value."""
        return estimate([measure(run) for run in self.runs])

    def test(self, name: str) -> Estimate | None:
        """Return the same of a test metric."""
        return self.over_seeds(lambda run: run.test(name))


@dataclass(frozen=True)
class Baseline:
    """The best constant answer to the test split, which a model can give that ignores its input.

    Attributes:
        answer: in words, for a sentence: a class, or a number.
        value: its metric.
        column: the first headline metric of which a constant answer has a clear meaning.
    """

    answer: str
    value: float
    column: MetricColumn


@dataclass(frozen=True)
class Table:
    """All runs of one model on one dataset."""

    dataset: str
    model: str
    columns: tuple[MetricColumn, ...]  # headline test metrics; rows are sorted by the first
    rows: tuple[Configuration, ...]
    # paused, pruned, failed, out of memory, timed out, interrupted or still running
    unfinished: tuple[ComparedRun, ...]
    superseded: tuple[ComparedRun, ...]  # completed, but run again later with the same seed: not in the rows
    warnings: tuple[str, ...]  # differences of the rows other than the method
    family: Family | None = None  # tests of the first column; None if fewer than two rows completed, or `untested`
    untested: str = ""  # why its rows are not tested yet: declared runs are not in; else empty
    baseline: Baseline | None = None  # None if no constant answer has a clear meaning, or no run wrote its labels

    @property
    def title(self) -> str:
        """Return dataset and model, for headings."""
        return f"{self.dataset} · {self.model}"

    def with_warning(self, text: str, labels: Collection[str] = ()) -> "Table":
        """Return the table with one more warning, whose number marks the rows with these labels."""
        number = len(self.warnings) + 1
        rows = tuple(replace(row, marks=(*row.marks, number)) if row.label in labels else row for row in self.rows)
        return replace(self, rows=rows, warnings=(*self.warnings, text))

    @property
    def varied_settings(self) -> tuple[str, ...]:
        """Return the settings in which configurations of one method differ, each once, and a rate that was searched."""
        searched = [SEARCHED_SETTING] if self.tunings else []
        return tuple(dict.fromkeys([*(key for run in self.runs for key in run.settings), *searched]))

    @property
    def seeds(self) -> int:
        """Return the largest number of seeds of a row; 0 if no run completed."""
        return max((len(row.runs) for row in self.rows), default=0)

    @property
    def tunings(self) -> tuple[Tuning, ...]:
        """Return the learning-rate searches of the table's runs, each once, in the order of the rows."""
        return tuple(dict.fromkeys(run.tuning for run in self.runs if run.tuning))

    @property
    def runs(self) -> tuple[ComparedRun, ...]:
        """Return every run of the table: those of the rows first."""
        return (*(run for row in self.rows for run in row.runs), *self.superseded, *self.unfinished)


@dataclass(frozen=True)
class ComparisonTables:
    """Everything that the reports show, read from records alone."""

    tables: tuple[Table, ...]  # one per dataset and model
    notices: tuple[str, ...]  # warnings that belong to no single table

    @property
    def runs(self) -> tuple[ComparedRun, ...]:
        """Return every run, table by table."""
        return tuple(run for table in self.tables for run in table.runs)

    @property
    def configurations(self) -> tuple[Configuration, ...]:
        """Return every configuration with a completed run, seeds together, table by table."""
        return tuple(row for table in self.tables for row in table.rows)

    @property
    def failed(self) -> tuple[ComparedRun, ...]:
        """Return the runs that ended without the result that they were to have; paused and pruned ones are not."""
        return tuple(run for table in self.tables for run in table.unfinished if run.record.has_failed)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return all warnings; those of a table begin with its title."""
        return self.notices + tuple(f"{table.title}: {text}" for table in self.tables for text in table.warnings)
