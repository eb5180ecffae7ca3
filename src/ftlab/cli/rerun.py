"""Command `ftlab rerun`: an experiment again, with the settings in its record. Imports no torch."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from ftlab.cli.error_messages import report_errors
from ftlab.cli.finished import Kinds, Trust

app = typer.Typer()


@app.command(
    "rerun",
    context_settings={"ignore_unknown_options": True},  # -m is refused in a sentence
    epilog="Run again what failed or was stopped, in its own folder: ftlab rerun outputs/SWEEP/RUN\n\n"
    "Repeat a completed run, and compare the results: ftlab rerun outputs/SWEEP/RUN sweep.name=repeated\n\n"
    "With another setting: ftlab rerun outputs/SWEEP/RUN optim.lr=1e-3 seed=1",
)
def _rerun(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run, e.g. outputs/SWEEP/RUN")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Settings to change; the run is then repeated.")
    ] = None,
    trust: Trust = False,
    kinds: Kinds = None,
) -> None:
    """Run an experiment again with the settings in its record, on this machine.

    A run that failed, was stopped or pruned runs in its own folder, from its checkpoint if it has one, so that the
    comparison of its sweep becomes complete. A completed run, or one with KEY=VALUE, is repeated in a new sweep
    (outputs/NOW, sweep.name= or sweep.dir=), and the results are compared, to the bit.
    """
    report_errors(lambda: _run(run, overrides or [], trust, kinds or []))


def _run(run: Path, overrides: list[str], trust: bool, kinds: list[str]) -> None:
    from ftlab.comparison.formats import printable
    from ftlab.comparison.render.repetition import repetition_tables
    from ftlab.core.checksums import begin_command
    from ftlab.core.terminal import Terminal
    from ftlab.launch import forkserver
    from ftlab.launch.local import LocalExecutor
    from ftlab.record import FILE_NAME
    from ftlab.sweeps.interrupts import Interrupted
    from ftlab.sweeps.jobs import JobsFailed
    from ftlab.sweeps.rerun import prepare_rerun, repetition_of, run_again

    begin_command()
    forkserver.start()  # its imports take longer than all before the job
    console = Terminal(highlight=False)
    rerun = prepare_rerun(run, overrides, trust=trust, kinds=kinds)
    console.print(printable(str(rerun)), markup=False, soft_wrap=True)
    try:
        record = run_again(rerun, LocalExecutor(max_parallel=1))
    except Interrupted as error:
        if (rerun.directory / FILE_NAME).exists():
            command = shlex.join(["ftlab", "rerun", str(rerun.directory)])
            raise Interrupted(error.signum, f"to go on: {command}") from error
        raise
    if repetition := repetition_of(rerun, record):
        console.print(repetition_tables(repetition))
        console.print(
            f"Both in one comparison: ftlab compare {rerun.origin} {rerun.directory} -o FOLDER",
            markup=False,
            soft_wrap=True,
        )
    if record.has_failed:
        raise JobsFailed("the run did not complete: see the table above.", rerun.directory)
