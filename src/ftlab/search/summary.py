"""What a search found: a line for each combination, and the command that runs its best settings."""

import shlex
from collections.abc import Sequence

from optuna.trial import TrialState
from rich.console import Console
from rich.table import Table

from ftlab.search.space import overrides
from ftlab.search.study import Study
from ftlab.sweep import program

_STATES = {
    "complete": (TrialState.COMPLETE,),
    "pruned": (TrialState.PRUNED,),
    "failed": (TrialState.FAIL,),
    "open": (TrialState.RUNNING, TrialState.WAITING),
}


def show(studies: Sequence[Study], config_dirs: Sequence[str], console: Console) -> None:
    """Print the best value of each study, its settings, how many trials there were, and how to run the winners.

    Args:
        studies: one for each combination.
        config_dirs: folders of the user's own configuration, which the commands need too.
        console: where to.
    """
    table = Table(title=f"best {studies[0].monitor} of each combination", title_justify="left", box=None)
    table.add_column("combination")
    table.add_column(studies[0].monitor, justify="right")
    table.add_column("settings")
    for state in _STATES:
        table.add_column(state, justify="right")
    commands = []
    for study, name in zip(studies, _names(studies), strict=True):
        best = study.best()
        settings = overrides(best.params) if best else []
        counts = [str(len(study.trials(*states))) for states in _STATES.values()]
        value = "—" if best is None else f"{best.value:.4f}"
        table.add_row(name, value, " ".join(settings) or ("defaults" if best else "—"), *counts)
        if best:
            commands.append(f"{name}: {_command([*study.overrides, *settings], config_dirs)}")
    console.print(table)
    if commands:
        console.print("To run the winners:")
    for command in commands:
        console.print(f"  {command}", highlight=False, markup=False, soft_wrap=True)


def _names(studies: Sequence[Study]) -> list[str]:
    """Return what tells each combination apart from the others."""
    common = set.intersection(*(set(study.overrides) for study in studies))
    apart = [" ".join(text for text in study.overrides if text not in common) for study in studies]
    return [name or f"method={study.config.method.name}" for name, study in zip(apart, studies, strict=True)]


def _command(settings: Sequence[str], config_dirs: Sequence[str]) -> str:
    """Return the command line; of a sweep's own name nothing is left, for the run shall be a new one."""
    called = program()
    flags = [part for folder in config_dirs for part in ("--config-dir", folder)]
    wanted = [text for text in settings if not text.lstrip("+~").startswith("sweep.")]
    return shlex.join([*called, *([] if len(called) > 1 else ["train"]), *flags, *wanted])
