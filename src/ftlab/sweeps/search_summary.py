"""Summary of a search: the best trial of each combination, and the command that runs it."""

import shlex
from collections.abc import Sequence

from optuna.trial import TrialState
from rich.console import Console
from rich.table import Table

from ftlab.sweeps.command_line import program
from ftlab.sweeps.optuna_study import Study
from ftlab.sweeps.search_space import to_overrides

_STATES = {
    "complete": (TrialState.COMPLETE,),
    "pruned": (TrialState.PRUNED,),
    "failed": (TrialState.FAIL,),
    "open": (TrialState.RUNNING, TrialState.WAITING),
}


def print_search_summary(studies: Sequence[Study], config_dirs: Sequence[str], console: Console) -> None:
    """Print the best trial of each study, the number of trials by state, and the commands that run the winners.

    Args:
        studies: one for each combination.
        config_dirs: folders with the user's configuration files, which the commands need too.
        console: where to print.
    """
    table = Table(title=f"best {studies[0].monitor} of each combination", title_justify="left", box=None)
    table.add_column("combination")
    table.add_column(studies[0].monitor, justify="right")
    table.add_column("settings")
    for state in _STATES:
        table.add_column(state, justify="right")
    commands = []
    for study, name in zip(studies, _names(studies), strict=True):
        best = study.best_trial()
        settings = to_overrides(best.params) if best else []
        counts = [str(len(study.trials(*states))) for states in _STATES.values()]
        value = "—" if best is None else f"{best.value:.4f}"
        table.add_row(name, value, " ".join(settings) or ("defaults" if best else "—"), *counts)
        if best:
            commands.append(f"{name}: {_command([*study.overrides, *settings], config_dirs)}")
    console.print(table)
    if commands:
        console.print("The best of each has run and is in the table above. To run it elsewhere, or with other seeds:")
    for command in commands:
        console.print(f"  {command}", highlight=False, markup=False, soft_wrap=True)


def _names(studies: Sequence[Study]) -> list[str]:
    """Return a name for each combination: the overrides in which it differs from the others."""
    common = set.intersection(*(set(study.overrides) for study in studies))
    differing = [" ".join(text for text in study.overrides if text not in common) for study in studies]
    return [name or f"method={study.config.method.name}" for name, study in zip(differing, studies, strict=True)]


def _command(settings: Sequence[str], config_dirs: Sequence[str]) -> str:
    """Return the command line, without settings of `sweep`, because the run belongs to a new sweep."""
    words = program()
    flags = [part for folder in config_dirs for part in ("--config-dir", folder)]
    kept = [text for text in settings if not text.lstrip("+~").startswith("sweep.")]
    return shlex.join([*words, *([] if len(words) > 1 else ["train"]), *flags, *kept])
