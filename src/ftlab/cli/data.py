"""Command `ftlab data`: preview of a data set before training. Imports no torch."""

from collections.abc import Callable

from ftlab.config.run_config import RunConfig
from ftlab.core.errors import ConfigError
from ftlab.core.terminal import Terminal


def preview(
    overrides: list[str], rows: int, run_with_config: Callable[[list[str], Callable[[RunConfig], None]], object]
) -> None:
    """Print a preview of the configured data set.

    Args:
        overrides: as for `train`.
        rows: number of training rows to show.
        run_with_config: composes the overrides and calls a function with the configuration.

    Raises:
        ConfigError: the overrides are those of a sweep.
    """
    if {"-m", "--multirun"} & set(overrides):
        raise ConfigError(
            "ftlab data shows one data set at a time: leave out the flag -m and give one choice of each group."
        )
    run_with_config(overrides, lambda config: _show(config, rows))


def _show(config: RunConfig, rows: int) -> None:
    with Terminal(stderr=True).status(f"reading {config.dataset.name}"):  # the imports below take seconds
        from ftlab.launch.worker import silence_libraries
        from ftlab.preview.collect import collect_preview
        from ftlab.preview.page import print_page

        silence_libraries()
        dataset_preview = collect_preview(config, rows)
    print_page(dataset_preview, Terminal(highlight=False))
