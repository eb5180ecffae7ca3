"""Check of what a sweep declares about its comparison, before its first run."""

from collections.abc import Sequence
from pathlib import Path

from ftlab.comparison.declared import margin_value
from ftlab.config.run_config import RunConfig
from ftlab.core.errors import ConfigError, UserError, did_you_mean
from ftlab.record import find_records


def check_declared(configs: Sequence[RunConfig], directory: Path) -> None:
    """Check reference and margin of the sweep's runs.

    Args:
        configs: the experiments.
        directory: the sweep's folder, which may have runs of other methods.

    Raises:
        ConfigError: runs declare different things, the reference is no method of the sweep, or the margin is not
            possible for the metric.
    """
    declared = {(config.compare.reference, config.compare.margin) for config in configs}
    if len(declared) > 1:
        raise ConfigError("compare is about the whole sweep, so its runs cannot have several: give it one value.")
    for reference, margin in declared:
        if reference is not None:
            methods = {config.method.name for config in configs}
            methods |= {record.method for _, record in find_records(directory, onerror=lambda _: None)}
            if len(methods) > 1 and reference.partition(" ")[0] not in methods:
                remedy = did_you_mean(reference, methods)
                raise ConfigError(f"compare.reference={reference} is no method of this sweep: {remedy}.")
        metrics = {config.dataset.kind.columns[0].metric for config in configs if config.dataset.kind.columns}
        for metric in sorted(metrics) if margin is not None else []:
            try:
                margin_value(margin, metric)
            except UserError as error:
                raise ConfigError(f"compare.margin: {error}") from None
