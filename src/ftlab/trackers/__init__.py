"""Experiment trackers, to which runs are logged in addition to their own folder.

A tracker is one module here and one file in conf/tracker: `tracker.name` is the module's name, and its class `Tracker`
does the rest (see `base`). A failing tracker is a warning of the run and never ends it. Importing this package does not
import torch.
"""

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ftlab.comparison import ComparisonTables
from ftlab.config.groups import TrackerConfig
from ftlab.config.run_config import RunConfig
from ftlab.core.errors import ConfigError, UserError, did_you_mean, reason
from ftlab.record import RunRecord
from ftlab.trackers.base import Tracker

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

__all__ = [
    "Tracker",
    "build_loggers",
    "build_tracker",
    "finish_run",
    "publish_comparison",
    "require_tracker",
    "tracker_names",
    "viewing_hints",
]

# modules of this package that define no tracker
_NO_TRACKERS = (
    *("base", "guarded", "metrics_csv", "run_fields", "tables", "trackio_logger"),
    *("wandb_dashboard", "wandb_sync"),
)


def tracker_names() -> list[str]:
    """Return the name of every tracker."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in _NO_TRACKERS)


def build_tracker(tracker_config: TrackerConfig) -> Tracker | None:
    """Return the configured tracker; None for the name `none`.

    Raises:
        ConfigError: there is no tracker of this name.
    """
    name = tracker_config.name
    if name == "none":
        return None
    if name not in tracker_names():
        raise ConfigError(f"tracker.name={name!r} is no tracker: {did_you_mean(name, [*tracker_names(), 'none'])}.")
    tracker_class: type[Tracker] = importlib.import_module(f"{__name__}.{name}").Tracker
    return tracker_class(tracker_config)


def require_tracker(tracker_config: TrackerConfig) -> None:
    """Check before anything starts that the configured tracker can be used on this machine.

    Raises:
        UserError: its package or an account is missing; one sentence that names the remedy.
    """
    if tracker := build_tracker(tracker_config):
        tracker.require()


def build_loggers(
    config: RunConfig, record: RunRecord, directory: Path, warn: Callable[[str], None], *, resume_step: int = 0
) -> "list[Logger]":
    """Return the loggers of a run; the one that writes metrics.csv into its folder is always among them.

    Args:
        config: of the run; it names the tracker.
        record: of the run.
        directory: the run's folder.
        warn: called with one sentence when the tracker fails; the run goes on without it.
        resume_step: optimizer steps already done in the checkpoint that is resumed: metrics.csv keeps their rows and
            no later ones.
    """
    from ftlab.trackers.guarded import GuardedLogger  # these load Lightning
    from ftlab.trackers.metrics_csv import logged_rows, metrics_csv_logger

    logged = logged_rows(directory)  # the logger of metrics.csv removes them
    loggers = [metrics_csv_logger(directory, resume_step)]
    try:
        if tracker := build_tracker(config.tracker):
            tracker.require()
            loggers.append(GuardedLogger(tracker, tracker.start(config, record, directory), warn, logged))
    except Exception as error:
        warn(_failure_message(config.tracker.name, error))
    return loggers


def finish_run(loggers: "Sequence[Logger]", record: RunRecord, directory: Path) -> None:
    """Log the run's results to its trackers and close them, so that nothing leaks into a later run."""
    from ftlab.trackers.guarded import GuardedLogger

    for logger in loggers:
        if isinstance(logger, GuardedLogger):
            logger.finish(record, directory)
        else:
            logger.finalize("failed" if record.has_failed else "success")


def publish_comparison(
    tracker_configs: Sequence[TrackerConfig],
    comparison: ComparisonTables,
    directory: Path,
    paths: Sequence[Path],
    warn: Callable[[str], None],
) -> None:
    """Log the comparison of a sweep to each of its trackers, once at least two runs are completed.

    Args:
        tracker_configs: of the sweep's jobs; equal ones count once.
        comparison: of all runs of the sweep.
        directory: the sweep's folder.
        paths: the files of the comparison.
        warn: called with one sentence when a tracker fails.
    """
    if sum(run.completed for run in comparison.runs) < 2:
        return
    for text in dict.fromkeys(tracker_config.model_dump_json() for tracker_config in tracker_configs):
        tracker_config = TrackerConfig.model_validate_json(text)
        try:
            if tracker := build_tracker(tracker_config):
                tracker.publish(comparison, directory, paths)
        except Exception as error:
            warn(_failure_message(tracker_config.name, error))


def viewing_hints(folder: Path) -> list[str]:
    """Return a sentence for each tracker that left data under a folder, with the command that shows it."""
    tracker_classes = [importlib.import_module(f"{__name__}.{name}").Tracker for name in tracker_names()]
    return [sentence for tracker_class in tracker_classes if (sentence := tracker_class.viewing_hint(folder))]


def _failure_message(name: str, error: Exception) -> str:
    problem = reason(error, with_class=not isinstance(error, UserError))
    return f"tracker={name} is not used and everything else goes on: {problem}."
