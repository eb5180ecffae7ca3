"""Removal of runs that have no result, and of what comparisons say about them."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ftlab.comparison import compare
from ftlab.comparison.formats import printable
from ftlab.comparison.render.files import COMPARISON_FILES
from ftlab.core.errors import UserError, did_you_mean, reason
from ftlab.core.terminal import Terminal
from ftlab.launch.slurm_queue import queued_job
from ftlab.record import FILE_NAME, RunRecord, Status, find_records, read_record
from ftlab.record.removal import (
    REMOVABLE,
    REMOVED_BY_DEFAULT,
    NotRemoved,
    delete_left_over,
    left_overs,
    remove_run_folder,
    size_on_disk,
)
from ftlab.sweeps.interrupts import signals_as_interrupts
from ftlab.sweeps.jobs import LOCK, sweep_lock
from ftlab.sweeps.report import report_comparison
from ftlab.trackers.wandb_sync import has_pending_uploads


@dataclass(frozen=True)
class Removable:
    """A run that may be removed.

    Attributes:
        folder: its folder.
        status: its status.
        reason: why it has no result, in a line.
        size: bytes on disk.
        pending_uploads: whether it has offline W&B data that was not uploaded.
    """

    folder: Path
    status: Status
    reason: str
    size: int
    pending_uploads: bool


@dataclass(frozen=True)
class RemovalPlan:
    """What a command would remove.

    Attributes:
        roots: the folders of the command.
        runs: the runs to remove.
        statuses: only runs of these are removed.
        left_overs: of removals that were killed; they are deleted too.
        left_alone: a sentence for each run that is not removed although it may have been meant.
    """

    roots: tuple[Path, ...]
    runs: tuple[Removable, ...]
    statuses: tuple[str, ...]
    left_overs: tuple[Path, ...]
    left_alone: tuple[str, ...]


@dataclass
class Removal:
    """What a command has removed, and a sentence for each thing that it could not do."""

    removed: list[Removable] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def parse_statuses(text: str) -> tuple[str, ...]:
    """Return the statuses in a comma-separated list.

    Raises:
        UserError: runs of one of them are never removed, or there is no such status.
    """
    statuses = tuple(dict.fromkeys(word.strip() for word in text.split(",")))
    for status in statuses:
        if status in ("completed", "running"):
            what = "have a result" if status == "completed" else "are at work"
            raise UserError(f"--status {status}: {status} runs {what}, and ftlab rm never removes them: leave it out.")
        if status not in REMOVABLE:
            raise UserError(f"--status {status} is no status to remove: {did_you_mean(status, REMOVABLE)}.")
    return statuses


def plan_removal(folders: Sequence[Path], statuses: Collection[str] = REMOVED_BY_DEFAULT) -> RemovalPlan:
    """Return what would be removed; changes nothing.

    Args:
        folders: of runs, of sweeps, or folders of sweeps.
        statuses: runs to remove in folders of sweeps; a run that is given itself must have one of them, too.

    Raises:
        UserError: a folder has no runs, or is that of a run that must not be removed.
    """
    roots = tuple(dict.fromkeys(_real_folder(folder) for folder in folders))
    errors: list[UserError] = []
    records = find_records(*roots, onerror=errors.append)
    sweeps = {*roots, *(folder.parent for folder, _ in records)}
    remnants = {path for sweep in sweeps for path in left_overs(sweep)}
    if not records and not remnants:
        if errors:
            raise errors[0]
        raise UserError(f"No run found in {', '.join(map(str, roots))}: give the folder of a run or of sweeps.")
    left_alone = [str(error) for error in errors]
    locked = {sweep for sweep in sweeps if _is_locked(sweep)}
    if busy := next((root for root in roots if root in locked), None):
        raise UserError(f"a sweep is running in {busy}, so nothing was removed: wait for its end.")
    runs = []
    for folder, record in records:
        obstacle = _obstacle(folder, record, statuses) or _obstacle_in_folder(folder)
        if obstacle is None and folder.parent in locked:
            obstacle = f"{folder} is in a sweep that is running: wait for its end."
        if obstacle is None:
            pending = has_pending_uploads(folder)
            runs.append(Removable(folder, record.status, _reason(record), size_on_disk(folder), pending))
        elif folder in roots:
            raise UserError(obstacle)
        elif record.status in statuses:
            left_alone.append(obstacle)
    left_alone += [
        f"{path} is a symbolic link, which is never followed: remove it yourself."
        for sweep in sorted(sweeps)
        for path in sorted(sweep.iterdir())
        if path.is_symlink() and (path / FILE_NAME).exists()
    ]
    return RemovalPlan(roots, tuple(runs), tuple(statuses), tuple(sorted(remnants)), tuple(left_alone))


def remove_runs(plan: RemovalPlan) -> Removal:
    """Remove the runs, and rebuild the comparisons in which they were from what is left.

    What earlier removals have left is deleted too. An error with one run does not stop the others.

    Raises:
        Interrupted: after SIGINT, SIGTERM or SIGHUP; the comparisons are rebuilt first.
    """
    removal = Removal()
    sweeps: dict[Path, list[Removable]] = {path.parent: [] for path in plan.left_overs}
    for run in plan.runs:
        sweeps.setdefault(run.folder.parent, []).append(run)
    with signals_as_interrupts():
        for sweep, runs in sweeps.items():
            with _problems_noted(removal, sweep), sweep_lock(sweep):
                remnants = left_overs(sweep)  # of a removal that was killed before it rebuilt the comparison
                for remnant in remnants:
                    with _problems_noted(removal, remnant):
                        delete_left_over(remnant)
                try:
                    for run in runs:
                        with _problems_noted(removal, run.folder):
                            _remove(run, plan.statuses)
                            removal.removed.append(run)
                finally:
                    if remnants or any(not run.folder.exists() for run in runs):
                        _rebuild_comparison(sweep)
        for root in plan.roots:  # it may have a comparison of several sweeps
            changed = any(run.folder.is_relative_to(root) and not run.folder.exists() for run in plan.runs)
            if changed and root not in sweeps and root.is_dir():
                with _problems_noted(removal, root):
                    _rebuild_comparison(root)
    return removal


def _real_folder(path: Path) -> Path:
    """Return the folder that a path leads to; a link in place of a run's folder is refused."""
    folder = path.resolve()
    if not folder.is_dir():
        raise UserError(f"{path} is not a folder: give the folder of a run, of a sweep, or a folder of sweeps.")
    if path.is_symlink() and (folder / FILE_NAME).exists():
        raise UserError(f"{path} is a symbolic link, which is never followed: give {folder} itself.")
    return folder


def _obstacle(folder: Path, record: RunRecord, statuses: Collection[str]) -> str | None:
    """Return why a run must not be removed; None if it may be."""
    if record.status not in REMOVABLE:
        return f"{folder} is {record.status}: ftlab rm removes only runs without a result that are not at work."
    if record.status not in statuses:
        return f"{folder} is {record.status}: add --status {record.status} to remove it."
    if job := queued_job(folder):
        return f"{folder} is in Slurm's queue as job {job}: cancel it first, with scancel {job}."
    return None


def _obstacle_in_folder(folder: Path) -> str | None:
    """Return what in a run's folder would be lost with it and is not the run's; None if there is nothing."""
    if Path.cwd().is_relative_to(folder) or Path.home().is_relative_to(folder):
        return f"{folder} is, or contains, your working or home directory: go to another one."
    if others := [path.parent for path in folder.rglob(FILE_NAME) if path.parent != folder]:
        return f"{folder} contains other runs, such as {others[0]}: move or remove them first."
    return None


def _is_locked(sweep: Path) -> bool:
    """Return whether a sweep is running in the folder."""
    lock = sweep / LOCK
    if not lock.exists():
        return False
    try:
        with sweep_lock(sweep):
            return False
    except UserError:
        return True
    except OSError:  # a read-only folder: the removal reports it
        return False


@contextmanager
def _problems_noted(removal: Removal, path: Path) -> Iterator[None]:
    """Note what prevents the block from its work with a file or folder, so that others are worked on."""
    try:
        yield
    except UserError as error:
        removal.problems.append(str(error))
    except OSError as error:
        removal.problems.append(f"cannot use {error.filename or path}: {reason(error, named=error.filename)}.")


def _remove(run: Removable, statuses: Collection[str]) -> None:
    if obstacle := _obstacle(run.folder, read_record(run.folder), statuses):  # since the plan was made
        raise NotRemoved(obstacle)
    remove_run_folder(run.folder)


def _rebuild_comparison(directory: Path) -> None:
    """Write the comparison in a folder anew, if there is one; delete it if no run is left for it to describe."""
    paths = [directory / name for name in COMPARISON_FILES]
    if not any(path.exists() for path in paths):
        return
    if any(record.role != "trial" for _, record in find_records(directory, onerror=lambda _: None)):
        report_comparison(compare([directory]), directory, Terminal(quiet=True))
        return
    for path in paths:
        path.unlink(missing_ok=True)


def _reason(record: RunRecord) -> str:
    if record.failure:
        return printable(record.failure.summary)
    return f"at step {record.progress.step}/{record.progress.steps}" if record.progress else ""
