"""Logger for metrics.csv, which every run has in its folder."""

import csv
import warnings
from pathlib import Path

from lightning.pytorch.loggers import CSVLogger, Logger

from ftlab.core.atomic import replacing
from ftlab.record.folder import CURVES


def metrics_csv_logger(directory: Path, resume_step: int) -> Logger:
    """Return a logger that writes metrics.csv; rows of an earlier attempt before step `resume_step` are kept."""
    path = directory / CURVES
    header, rows = _rows_before(path, resume_step) if resume_step and path.exists() else ([], [])
    logger = CSVLogger(save_dir=str(directory), name="", version="", flush_logs_every_n_steps=10)
    with warnings.catch_warnings():  # the folder is not empty: metrics.csv belongs beside the record
        warnings.filterwarnings("ignore", message="Experiment logs directory .* exists and is not empty")
        writer = logger.experiment  # removes the file
    if rows:
        writer.metrics_keys = header
        with replacing(path) as new, new.open("w", newline="", encoding="utf-8") as stream:
            csv_writer = csv.DictWriter(stream, fieldnames=header)
            csv_writer.writeheader()
            csv_writer.writerows(rows)
    return logger


def logged_rows(directory: Path) -> set[tuple[int, frozenset[str]]]:
    """Return step and names of each row that earlier attempts of a run logged."""
    path = directory / CURVES
    if not path.exists():
        return set()
    with path.open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["step"]]
    return {
        (int(row["step"]), frozenset(name for name, value in row.items() if value and name != "step")) for row in rows
    }


def _rows_before(path: Path, step: int) -> tuple[list[str], list[dict[str, str]]]:
    """Return the columns of metrics.csv, and its rows before a step; Lightning counts steps from 0."""
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        rows = [row for row in reader if row["step"] and int(row["step"]) < step]
        return list(reader.fieldnames or []), rows
