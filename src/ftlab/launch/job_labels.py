"""Short labels of jobs, of the settings that differ between them, as comparisons name the rows of one method."""

from collections.abc import Sequence

from ftlab.comparison.settings import RunSettings, flatten_config, preset_names, run_labels
from ftlab.config.fingerprint import determinants
from ftlab.config.run_config import RunConfig


def job_settings(config: RunConfig) -> RunSettings:
    """Return what tells a job from the others, as of its record, which need not exist yet."""
    values = config.model_dump(mode="json", by_alias=True)
    names = ("" if config.search.role == "run" else config.search.role, *(config.method.name, config.model.name))
    determining = {key: value for key, value in determinants(config).items() if key != "seed"}
    return RunSettings((*names, config.dataset.name), config.seed, flatten_config(determining), preset_names(values))


def job_labels(configs: Sequence[RunConfig]) -> list[str]:
    """Return a label for each job; empty texts if they differ in nothing."""
    return run_labels([job_settings(config) for config in configs])
