"""Experiment trackers: where runs are logged beside their own folder.

A tracker is one module here and one file in conf/tracker: `tracker.name` is the module's name, and its `Tracker` does
the rest (see `base`). Whatever fails there is a warning of the run, never its end. Imports no torch by itself.
"""

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ftlab.compare import Comparison
from ftlab.errors import ConfigError, UserError, did_you_mean
from ftlab.groups import TrackerConfig
from ftlab.record import RunRecord
from ftlab.schema import RunConfig
from ftlab.trackers.base import Tracker

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

__all__ = ["Tracker", "build", "finish", "names", "publish", "require", "shown", "tracker"]

_NO_TRACKERS = ("base", "facts", "guarded", "metrics_csv", "offline", "rows", "trackio_logger")  # shared


def names() -> list[str]:
    """Return the name of every tracker."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in _NO_TRACKERS)


def tracker(settings: TrackerConfig) -> Tracker | None:
    """Return the tracker of these settings; None where there is to be none.

    Raises:
        ConfigError: there is no tracker of this name.
    """
    if settings.name == "none":
        return None
    if settings.name not in names():
        raise ConfigError(
            f"tracker.name={settings.name!r} is no tracker: {did_you_mean(settings.name, [*names(), 'none'])}."
        )
    found: type[Tracker] = importlib.import_module(f"{__name__}.{settings.name}").Tracker
    return found(settings)


def require(settings: TrackerConfig) -> None:
    """Ask before anything starts whether this tracker can be used here.

    Raises:
        UserError: its package or an account is missing; one sentence that names the remedy.
    """
    if chosen := tracker(settings):
        chosen.require()


def build(
    config: RunConfig, record: RunRecord, directory: Path, warn: Callable[[str], None], *, done: int = 0
) -> "list[Logger]":
    """Return the loggers of a run; metrics.csv in its folder is always among them.

    Args:
        config: names the tracker.
        record: of the run.
        directory: the run's folder.
        warn: is told, in a sentence, when the tracker fails; the run goes on without it.
        done: optimizer steps that an earlier attempt has done: metrics.csv keeps their rows and no later ones.
    """
    from ftlab.trackers.guarded import Guarded  # these load Lightning
    from ftlab.trackers.metrics_csv import metrics_csv

    loggers = [metrics_csv(directory, done)]
    try:
        if chosen := tracker(config.tracker):
            chosen.require()
            loggers.append(Guarded(chosen, chosen.start(config, record, directory), warn))
    except Exception as error:
        warn(_failed(config.tracker.name, error))
    return loggers


def finish(loggers: "Sequence[Logger]", record: RunRecord, directory: Path) -> None:
    """Give the trackers the run's results and close them, so that nothing leaks into a later run."""
    from ftlab.trackers.guarded import Guarded

    for logger in loggers:
        if isinstance(logger, Guarded):
            logger.finish(record, directory)
        else:
            logger.finalize("success" if record.status == "completed" else "failed")


def publish(
    settings: Sequence[TrackerConfig],
    comparison: Comparison,
    directory: Path,
    paths: Sequence[Path],
    warn: Callable[[str], None],
) -> None:
    """Give every tracker of a sweep the comparison, once there is something to compare.

    Args:
        settings: of the sweep's jobs; equal ones count once.
        comparison: of all runs of the sweep.
        directory: the sweep's folder.
        paths: the files of the comparison.
        warn: is told, in a sentence, when a tracker fails.
    """
    if sum(run.completed for run in comparison.rows) < 2:
        return
    for one in dict.fromkeys(each.model_dump_json() for each in settings):
        chosen = TrackerConfig.model_validate_json(one)
        try:
            if found := tracker(chosen):
                found.publish(comparison, directory, paths)
        except Exception as error:
            warn(_failed(chosen.name, error))


def shown(folder: Path) -> list[str]:
    """Return a sentence for each tracker that left data under a folder, with the command that shows it."""
    kinds = [importlib.import_module(f"{__name__}.{name}").Tracker for name in names()]
    return [sentence for kind in kinds if (sentence := kind.shown(folder))]


def _failed(name: str, error: Exception) -> str:
    what = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
    return f"tracker={name} does not take part, all else goes on: {' '.join(what.split())[:300]}"
