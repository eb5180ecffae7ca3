"""Rerun of an experiment from its record: in its folder if it has no result, else as a repetition in a new sweep."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from pathlib import Path

from ftlab.comparison.repetition import Repetition, compare_repetition
from ftlab.config.fingerprint import config_hash
from ftlab.config.overrides import with_overrides
from ftlab.config.run_config import RunConfig, validate
from ftlab.config.secrets import blanked_keys
from ftlab.core.errors import ConfigError, UserError
from ftlab.inference.trust import recorded_config, require_harmless_training
from ftlab.launch.executor import Executor
from ftlab.launch.slurm_queue import queued_job
from ftlab.record import FILE_NAME, RunRecord, read_record, run_folder
from ftlab.record.checkpoints import FOLDER, resume_points
from ftlab.record.folder import relative_to_cwd
from ftlab.sweeps.jobs import run_name, run_sweep

# W&B links each of its runs to the log of its core in the user's cache; a rerun is another run, in a folder of its own
_WANDB_CORE_LOG = "logs/wandb/*run-*/logs/debug-core.log"


@dataclass(frozen=True)
class Rerun:
    """Experiment that is to run again.

    Attributes:
        origin: folder of the run.
        record: its record before the rerun.
        config: what is to run.
        sweep: folder of the sweep to run it in.
        import_from_cwd: whether it may import modules from the working directory, which may be somebody else's folder.
    """

    origin: Path
    record: RunRecord
    config: RunConfig
    sweep: Path
    import_from_cwd: bool = False

    @property
    def directory(self) -> Path:
        """Return the folder that it runs in."""
        return self.sweep / run_name(self.config)

    @property
    def in_place(self) -> bool:
        """Whether it runs in the folder of the run, whose record is replaced."""
        return self.directory.resolve() == self.origin.resolve()

    def __str__(self) -> str:
        """Return in a sentence what is going to happen."""
        if not self.in_place:
            return f"{self.origin} is {self.record.status}: it is repeated in {self.sweep}."
        points = resume_points(self.origin / FOLDER)
        start = f"from its checkpoint after step {points[0].step}" if points else "from its start"
        return f"{self.origin} is {self.record.status}: it runs again in its own folder, {start}."


def prepare_rerun(run: Path, overrides: Sequence[str] = (), *, trust: bool = False, kinds: Sequence[str] = ()) -> Rerun:
    """Read what a run needs to run again; nothing is written.

    A run without a result runs in its own folder, unless there are overrides.

    Args:
        run: its folder.
        overrides: settings to change, `KEY=VALUE` as on the command line; with `sweep.name` or `sweep.dir`, where to.
        trust: whether to run code that the folder names and that belongs to neither ftlab nor PEFT.
        kinds: modules or files with task kinds, instead of those that the folder names, which may have moved.

    Raises:
        UserError: the run is running, is a trial, has changed its name, or needs `trust`; or there is no run.
        ConfigError: this version of ftlab cannot use its configuration, or an override is wrong.
    """
    run_folder(run)
    record = read_record(run)
    origin = relative_to_cwd(run.resolve())
    _require_idle(origin, record)
    try:
        config = recorded_config(record.config, origin, trust=trust, kinds=kinds)
    except ConfigError as error:
        raise ConfigError(f"{origin / FILE_NAME} has a configuration that cannot be used now: {error}") from None
    if blanked := [key for key in blanked_keys(record.config) if not _is_set(key, overrides)]:
        raise ConfigError(
            f"{origin / FILE_NAME} has no {blanked[0]}, as secrets are not recorded: give it, {blanked[0]}=VALUE, or "
            "start the command of its sweep again."
        )
    if "trial" in (record.role, config.search.role):
        raise UserError(
            f"{origin} is a trial, which only its search can run: give the command of the search again, or a run."
        )
    if not trust:
        require_harmless_training(config, origin)
    # a rung belongs to the command that asked for it: here the run goes on to its end
    whole = config.model_copy(update={"search": config.search.model_copy(update={"rung": None})})
    in_place = not overrides and record.status != "completed"
    rerun = _in_place(origin, record, whole) if in_place else _repeated(origin, record, whole, overrides)
    if not trust:
        _require_no_links_out_of(rerun.directory, rerun.directory.rglob("*"))
        if rerun.in_place:  # trackers write beside the run, too
            _require_no_links_out_of(rerun.sweep, rerun.sweep.glob("*"), (rerun.sweep / "logs").rglob("*"))
    typed_code = any("_target_" in text for text in overrides)
    return replace(rerun, import_from_cwd=trust or bool(kinds) or typed_code)


def run_again(rerun: Rerun, executor: Executor) -> RunRecord:
    """Run an experiment again, print its progress and the comparison of its sweep, and return its new record.

    Raises:
        UserError: another sweep is running in the folder; nothing was started. See also `run_sweep`.
        Interrupted: after SIGINT, SIGTERM or SIGHUP.
    """
    (record,) = run_sweep([rerun.config], rerun.sweep, executor, retry_all=True, import_from_cwd=rerun.import_from_cwd)
    return record


def repetition_of(rerun: Rerun, record: RunRecord) -> Repetition | None:
    """Compare the run with its repetition; None if it has run in its own folder, which has one record."""
    return None if rerun.in_place else compare_repetition(rerun.record, record)


def _is_set(key: str, overrides: Sequence[str]) -> bool:
    return any(text.lstrip("+").partition("=")[0] == key for text in overrides)


def _require_idle(origin: Path, record: RunRecord) -> None:
    if record.status == "running":
        where = f" as process {record.process.pid} on {record.process.host}" if record.process else ""
        raise UserError(f"{origin} is running{where}: wait for its end, or stop it first.")
    if job := queued_job(origin):
        raise UserError(f"{origin} is in Slurm's queue as job {job}: wait for its end, or cancel it: scancel {job}.")


def _in_place(origin: Path, record: RunRecord, config: RunConfig) -> Rerun:
    """Return a rerun in the run's own folder, wherever that has been moved to.

    Raises:
        UserError: the run that the configuration describes now has another folder.
    """
    sweep = origin.parent
    config = config.model_copy(update={"sweep": config.sweep.model_copy(update={"dir": str(sweep)})})
    rerun = Rerun(origin, record, config, sweep)
    if rerun.in_place:
        return rerun
    if record.config_hash == config_hash(config):
        raise UserError(
            f"{origin} has been renamed, so its sweep does not know it: call it {rerun.directory.name} again, or "
            "repeat it in a new sweep, with sweep.name=NAME."
        )
    raise UserError(
        f"{origin} would be another run now, as the files of its data or model are not what they were, or ftlab "
        "computes otherwise: start the command in the folder where its sweep was started, or repeat the run in a new "
        "sweep, with sweep.name=NAME."
    )


def _repeated(origin: Path, record: RunRecord, config: RunConfig, overrides: Sequence[str]) -> Rerun:
    """Return a rerun in another sweep.

    Raises:
        UserError: it is complete there.
        ConfigError: an override is wrong.
    """
    values = config.model_dump(mode="json", by_alias=True)
    values["plan"] = False
    values["sweep"] |= {"name": f"{datetime.now():%Y-%m-%d_%H-%M-%S}", "dir": None}
    values = with_overrides(values, overrides)
    if values["sweep"]["dir"] is None:
        values["sweep"]["dir"] = f"outputs/{values['sweep']['name']}"
    repeated = validate(values)
    rerun = Rerun(origin, record, repeated, Path(repeated.sweep.dir))
    if (rerun.directory / FILE_NAME).exists() and read_record(rerun.directory).status == "completed":
        raise UserError(f"{rerun.directory} is this run, and it is completed: choose another sweep.name or sweep.dir.")
    return rerun


def _require_no_links_out_of(folder: Path, *contents: Iterable[Path]) -> None:
    """Check that nothing is written to another place because a folder of somebody else's has links that lead there."""
    inside = os.path.realpath(folder)
    for path in chain(*contents):
        if path.match(_WANDB_CORE_LOG):
            continue
        if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(inside):
            raise UserError(
                f"{path} is a symbolic link to {os.readlink(path)}, out of {folder}: add --trust (in Python "
                "trust=True) if you trust its author."
            )
