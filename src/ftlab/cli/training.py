"""Command `ftlab train`, also `train.py`: one run or a sweep. Imports no torch."""

import sys
from pathlib import Path

from ftlab.cli.error_messages import report_errors
from ftlab.cli.versions import print_versions
from ftlab.config.run_config import RunConfig, validate
from ftlab.core.checksums import begin_command
from ftlab.core.import_path import search_cwd_last
from ftlab.launch import forkserver


def train(arguments: list[str] | None = None) -> None:
    """Run one experiment, or with `-m` one per combination, and compare them."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if {"-h", "--help"} & set(arguments):
        from ftlab.cli.help import print_help

        report_errors(lambda: print_help(arguments))
        return
    if "--version" in arguments:
        print_versions()
        return
    if {"-sc", "--shell-completion"} & set(arguments):
        from ftlab.cli.script_completion import complete_script

        report_errors(lambda: complete_script(arguments))
        return
    report_errors(lambda: _begin_and_run(arguments))


def _begin_and_run(arguments: list[str]) -> None:
    begin_experiments(arguments)
    run_experiments(arguments)


def begin_experiments(arguments: list[str]) -> None:
    """Prepare this process for `run_experiments`, and start the fork server if it may be needed.

    Raises:
        UserError, OSError: the folder for temporary files cannot be used.
    """
    search_cwd_last()  # of a script, it is the first folder
    begin_command()
    if may_run_locally(arguments):
        forkserver.start()


def run_experiments(arguments: list[str]) -> Path | None:
    """Compose and run one experiment, or with -m one per combination, and compare them.

    Args:
        arguments: flags and overrides, as for `ftlab train`.

    Returns:
        The folder of the run, with -m or plan=true that of the sweep, usually relative to the working directory.
        None: nothing was to run, as with --cfg, or a sweeper of somebody else's does not return its jobs.

    Raises:
        UserError: or one of its subclasses, as `JobsFailed`, which has that folder too.
        Interrupted: after SIGINT, SIGTERM or SIGHUP.
        HydraException: as OmegaConfBaseException and yaml.YAMLError, a configuration cannot be composed.
        OSError: a file cannot be used.
    """
    from ftlab.cli.hydra_command import run_with_hydra

    return run_with_hydra(arguments, _run_single)


def may_run_locally(arguments: list[str]) -> bool:
    """Return whether jobs may start on this machine, judged by the arguments before composition."""
    launchers = {argument for argument in arguments if argument.startswith("hydra/launcher=")}
    flags = {argument for argument in arguments if argument.startswith("-")}
    return launchers <= {"hydra/launcher=local"} and flags <= {"-m", "--multirun"}


def _run_single(config: RunConfig) -> Path:
    """Run one experiment, a sweep of one, and return the run's folder; that of the sweep if it was only planned."""
    from ftlab.launch.local import LocalExecutor
    from ftlab.sweeps.jobs import JobsFailed, run_name
    from ftlab.sweeps.plan import plan_if_requested
    from ftlab.sweeps.run import run_jobs

    sweep = Path(config.sweep.dir)
    if not plan_if_requested([config], sweep, LocalExecutor(max_parallel=1)):
        return sweep
    (record,) = run_jobs([config], sweep, lambda: LocalExecutor(max_parallel=1))
    run = sweep / run_name(validate(record.config))  # with search=lr, it has the rate that was chosen
    if record.has_failed:
        raise JobsFailed("the job did not complete: see the table above.", run)
    return run
