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
    header, all_rows = _read_rows(path) if resume_step else ([], [])
    rows = [row for row in all_rows if int(row["step"]) < resume_step]  # Lightning counts steps from 0
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
    _, rows = _read_rows(directory / CURVES)
    return {
        (int(row["step"]), frozenset(name for name, value in row.items() if value and name != "step")) for row in rows
    }


def _read_rows(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Return the columns of metrics.csv, and its rows without those that a crash of the machine has left unreadable."""
    if not path.exists():
        return [], []
    with path.open(newline="", encoding="utf-8", errors="replace") as stream:
        reader = csv.DictReader(line for line in stream if "\0" not in line)
        rows = [row for row in reader if (row.get("step") or "").isdecimal() and None not in row]
        return list(reader.fieldnames or []), rows
