"""Between Hydra and the schema: from what was composed to validated values, and from what was not to one sentence."""

from collections.abc import Sequence

import yaml
from hydra.core.config_loader import ConfigLoader
from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException

from ftlab.errors import ConfigError, did_you_mean
from ftlab.schema import RunConfig, validate


def compose_job(loader: ConfigLoader, master: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """Return one job's configuration; `${now:}` is the same in all jobs of a command, whenever they are composed.

    Args:
        loader: Hydra's.
        master: the configuration of the whole command, which remembers the time.
        overrides: of the job.
    """
    config = loader.load_sweep_config(master, list(overrides))
    OmegaConf.select(config, "sweep.dir", throw_on_resolution_failure=False)
    OmegaConf.copy_cache(config, master)
    return config


def resolve(config: DictConfig) -> RunConfig:
    """Return a composed configuration as validated values.

    Args:
        config: as Hydra composed it.

    Raises:
        ConfigError: a value is missing or not valid.
    """
    try:
        own = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
        OmegaConf.copy_cache(config, own)  # the copy would ask the clock again
        plain = OmegaConf.to_container(own, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        key = str(error.full_key)
        raise ConfigError(f"{key} is not set: add {key}=VALUE.") from None
    except OmegaConfBaseException as error:
        raise ConfigError(f"the configuration cannot be resolved: {str(error).splitlines()[0]}.") from None
    assert isinstance(plain, dict)
    return validate({str(key): value for key, value in plain.items()})


def explain(error: Exception) -> str:
    """Return one sentence that names what could not be composed, and what would be right.

    Args:
        error: Hydra's, OmegaConf's or PyYAML's exception.
    """
    if isinstance(error, MissingConfigException) and error.options and error.missing_cfg_file:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        offered = [name for name in error.options if not name.startswith("_")]  # _base is what choices inherit
        return f"{group}={choice} does not exist: {did_you_mean(choice, offered)}."
    if isinstance(error, OverrideParseException):
        return f"cannot read {error.override!r}: write KEY=VALUE, and quote values that hold special characters."
    if isinstance(error, yaml.YAMLError):
        return f"the configuration cannot be read: {' '.join(str(error).split())}."  # file and line included
    wrong = error.__cause__
    if isinstance(wrong, ConfigAttributeError | ConfigKeyError) and isinstance(wrong.parent_node, DictConfig):
        known = [str(key) for key in wrong.parent_node if key != "hydra"]
        hint = did_you_mean(str(wrong.key), known) if known else "what is above it has no settings"
        return f"{wrong.full_key} is not a setting of ftlab: {hint}."
    return f"{str(error).splitlines()[0].rstrip('.')}."
