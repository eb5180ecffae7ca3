"""`ftlab data`: the data set of a command line, shown before anything trains. Imports no torch."""

from collections.abc import Callable

from rich.console import Console

from ftlab.errors import ConfigError
from ftlab.schema import RunConfig


def preview(
    overrides: list[str], rows: int, composed: Callable[[list[str], Callable[[RunConfig], None]], None]
) -> None:
    """Show the data of a command line.

    Args:
        overrides: what `train` takes.
        rows: how many are shown.
        composed: composes them and calls what it is given with the configuration.

    Raises:
        ConfigError: several data sets are asked for.
    """
    if {"-m", "--multirun"} & set(overrides):
        raise ConfigError("ftlab data shows one data set at a time: leave -m out, and name one choice of each group.")
    composed(overrides, lambda config: _show(config, rows))


def _show(config: RunConfig, rows: int) -> None:
    with Console(stderr=True).status(f"reading {config.dataset.name}"):  # what follows takes seconds to import
        from ftlab.job import silence_libraries
        from ftlab.preview.facts import collect
        from ftlab.preview.page import show

        silence_libraries()
        facts = collect(config, rows)
    show(facts, Console(highlight=False))
