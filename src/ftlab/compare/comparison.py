"""What a comparison holds, as plain frozen data: runs, configurations (seeds together), tables, warnings."""

from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from ftlab.compare.inference import Family
from ftlab.compare.tuning import Tuning
from ftlab.record import Column, RunRecord


@dataclass(frozen=True)
class Run:
    """One run: a record, the folder it lies in, and what sets its configuration apart."""

    folder: Path
    record: RunRecord
    settings: str  # what tells it apart from other configurations of the method, such as `optim.lr=0.001`; may be empty
    configuration: str  # equal for runs that differ in nothing but the seed
    tuning: Tuning | None = None  # the search that chose its learning rate

    @property
    def label(self) -> str:
        """Return the configuration's name in the tables."""
        return f"{self.record.method} {self.settings}".strip()

    @property
    def completed(self) -> bool:
        """Whether the run reached its end, final test included."""
        return self.record.status == "completed"

    def test(self, name: str) -> float | None:
        """Return the value of a test metric; None where it is missing or no finite number."""
        metric = self.record.test_metric(name)
        if metric is None or metric.value is None or not isfinite(metric.value):
            return None
        return metric.value

    @property
    def train_s(self) -> float | None:
        """Return the seconds of training alone; None where nothing trained."""
        cost = self.record.cost
        return cost.train_s if cost and cost.optimizer_steps else None

    @property
    def tuning_s(self) -> float | None:
        """Return the training seconds of all trials behind its settings, failed ones included; None: no search."""
        return self.tuning.seconds if self.tuning else None

    @property
    def examples_per_s(self) -> float | None:
        """Return the training throughput."""
        return self.record.cost.examples_per_s if self.record.cost else None

    @property
    def peak_memory_bytes(self) -> float | None:
        """Return the high-water mark of memory in training."""
        return self.record.cost.peak_memory_bytes if self.record.cost else None

    @property
    def memory_error(self) -> float | None:
        """Return by which share of the measured peak memory the predicted one is above it; null: one is not known."""
        predicted = self.record.predicted
        return _above(predicted.memory_bytes.peak if predicted else None, self.peak_memory_bytes)

    @property
    def time_error(self) -> float | None:
        """Return by which share of the measured training time the predicted one is above it; null: one is not known."""
        predicted = self.record.predicted
        return _above(predicted.train_s if predicted else None, self.train_s)

    @property
    def trainable(self) -> float | None:
        """Return the number of trainable parameters."""
        return self.record.parameters.trainable if self.record.parameters else None

    @property
    def adapter_bytes(self) -> float | None:
        """Return the size on disk of what the method saved."""
        return self.record.parameters.adapter_bytes if self.record.parameters else None

    @property
    def outcome(self) -> str:
        """Return the status in words, with the first line of the error or the number of failed checks."""
        record = self.record
        if record.failure is not None:
            where = "" if record.failure.step is None else f" at step {record.failure.step}"
            lines = record.failure.message.strip().splitlines()
            return f"{record.status}{where}: {record.failure.type}" + (f": {lines[0].strip()}" if lines else "")
        if record.status == "running" and record.process is not None:
            return f"running on {record.process.host}, process {record.process.pid}"
        failed = sum(check.status == "failed" for check in record.checks.values())
        return f"{record.status}, {failed} failed {'check' if failed == 1 else 'checks'}" if failed else record.status


def _above(predicted: float | None, measured: float | None) -> float | None:
    return predicted / measured - 1 if predicted is not None and measured else None


@dataclass(frozen=True)
class Configuration:
    """Completed runs that are equal in everything but the seed: one row of a table."""

    runs: tuple[Run, ...]  # one per seed, at least one
    marks: tuple[int, ...] = ()  # numbers (from 1) of the table's warnings that concern this row

    @property
    def method(self) -> str:
        """Return the method's name."""
        return self.runs[0].record.method

    @property
    def settings(self) -> str:
        """Return what tells it apart from other configurations of the method; may be empty."""
        return self.runs[0].settings

    @property
    def label(self) -> str:
        """Return the row's name."""
        return self.runs[0].label


@dataclass(frozen=True)
class Table:
    """All runs of one model on one dataset."""

    dataset: str
    model: str
    columns: tuple[Column, ...]  # headline test metrics; rows are sorted by the first
    rows: tuple[Configuration, ...]
    unfinished: tuple[Run, ...]  # failed, out of memory, timed out, interrupted or still running
    superseded: tuple[Run, ...]  # completed, but run again later with the same seed: not in the rows
    warnings: tuple[str, ...]  # in what the rows differ beside the method
    family: Family | None = None  # tests of the first column; None where fewer than two rows completed

    @property
    def title(self) -> str:
        """Return dataset and model, as headings show them."""
        return f"{self.dataset} · {self.model}"

    @property
    def seeds(self) -> int:
        """Return the largest number of seeds behind a row; 0 where no run completed."""
        return max((len(row.runs) for row in self.rows), default=0)

    @property
    def tunings(self) -> tuple[Tuning, ...]:
        """Return the searches behind the table's runs, each once, in the order of the rows."""
        return tuple(dict.fromkeys(run.tuning for run in self.runs if run.tuning))

    @property
    def runs(self) -> tuple[Run, ...]:
        """Return every run of the table: those behind the rows first."""
        return (*(run for row in self.rows for run in row.runs), *self.superseded, *self.unfinished)


@dataclass(frozen=True)
class Comparison:
    """Everything the reports show, read from records alone."""

    tables: tuple[Table, ...]  # one per dataset and model
    notices: tuple[str, ...]  # warnings that concern no single table

    @property
    def rows(self) -> tuple[Run, ...]:
        """Return every run, table by table."""
        return tuple(run for table in self.tables for run in table.runs)

    @property
    def groups(self) -> tuple[Configuration, ...]:
        """Return every configuration with a completed run, seeds together, table by table."""
        return tuple(row for table in self.tables for row in table.rows)

    @property
    def failed(self) -> tuple[Run, ...]:
        """Return the runs that ended without a result; a run still going is none of them."""
        return tuple(run for table in self.tables for run in table.unfinished if run.record.status != "running")

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return all warnings; those of a table begin with its title."""
        return self.notices + tuple(f"{table.title}: {text}" for table in self.tables for text in table.warnings)
