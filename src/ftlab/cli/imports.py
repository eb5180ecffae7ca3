"""Commands `ftlab import …`, which turn results of other tools into runs. Imports no torch."""

from pathlib import Path
from typing import Annotated

import typer

from ftlab.cli.error_messages import report_errors

app = typer.Typer()
_imports = typer.Typer(
    help="Import results that other tools publish as runs, to compare them with the same marks and tests.",
    no_args_is_help=True,
)
app.add_typer(_imports, name="import")


@_imports.callback()
def _group() -> None:
    """Keep the name of a single command."""


@_imports.command(
    "peft-results",
    epilog="One state of the table: ftlab import peft-results peft/method_comparison/MetaMathQA/results --to "
    "outputs/peft\n\n"
    "Reruns as repetitions: ftlab import peft-results old/results new/results --to outputs/peft --reruns-as-seeds\n\n"
    "Then: ftlab compare outputs/peft",
)
def _peft_results(
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="DIR...", help="Folders with result files (*.json) below them, one for each campaign."),
    ],
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="Folder to create, e.g. outputs/NAME.")],
    reruns_as_seeds: Annotated[
        bool,
        typer.Option(
            "--reruns-as-seeds",
            help="Count the same experiment in several DIRs as repetitions (seeds 0, 1000, 2000 …) although their seed "
            "is the same and their software is not; default: only the newest run of a seed counts.",
        ),
    ] = False,
) -> None:
    """Import results of huggingface/peft's method_comparison: a run for each file, with a record.json.

    A file tells settings, versions and the test metric of one training run, and no predictions of examples: so one run
    of each experiment gives a table with marks and no test. Files that are no results are skipped and counted, and so
    are runs that an earlier DIR has already.
    """
    report_errors(lambda: _import_peft_results(folders, to, reruns_as_seeds))


def _import_peft_results(folders: list[Path], to: Path, reruns_as_seeds: bool) -> None:
    from ftlab.comparison.formats import name_some, printable
    from ftlab.core.terminal import Terminal
    from ftlab.importers.peft_records import import_results
    from ftlab.importers.peft_results import read_results

    results = read_results(folders)
    runs = import_results(results, to, reruns_as_seeds=reruns_as_seeds)
    console = Terminal(highlight=False)

    def show(sentence: str) -> None:
        console.print(printable(sentence), markup=False, soft_wrap=True)

    experiments = {file.result.run_info.experiment_name for file in results.files}
    show(f"{to} has {len(runs)} runs of {len(experiments)} experiments now.")
    if results.repeated:
        show(f"Left out: {len(results.repeated)} files of runs that an earlier folder has already.")
    if results.skipped:
        names = name_some([path.name for path in results.skipped], 3)
        show(f"Skipped: {len(results.skipped)} files that are no results ({names}).")
    show(f"Compare them: ftlab compare {to}")
