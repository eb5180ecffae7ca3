"""Composition of the configuration by Hydra: from overrides to validated values, from its errors to one sentence."""

from collections.abc import Sequence

import yaml
from hydra.core.config_loader import ConfigLoader
from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException

from ftlab.config.kinds import kind_named, register_kinds
from ftlab.config.moved import renamed_setting
from ftlab.config.run_config import RunConfig, validate
from ftlab.core.errors import ConfigError, clause, did_you_mean, reason

_WHOLE = 2000  # characters of an error that ends with its place in a file, or with the valid choices


def compose_job(loader: ConfigLoader, master: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """Return one job's configuration; `${now:}` is the same in all jobs of a command, whenever they are composed.

    Args:
        loader: Hydra's config loader.
        master: configuration of the whole command; caches the time of `${now:}`.
        overrides: of this job.
    """
    config = loader.load_sweep_config(master, list(overrides))
    OmegaConf.select(config, "sweep.dir", throw_on_resolution_failure=False)
    OmegaConf.copy_cache(config, master)
    return config


def resolve(config: DictConfig) -> RunConfig:
    """Validate a composed configuration.

    Args:
        config: as Hydra composed it, interpolations included.

    Raises:
        ConfigError: a value is missing or not valid.
    """
    _register_kinds(config)  # before the interpolation below, whose errors OmegaConf would wrap
    try:
        without_hydra = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
        OmegaConf.copy_cache(config, without_hydra)  # otherwise the copy would resolve `${now:}` to a later time
        values = OmegaConf.to_container(without_hydra, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        key = str(error.full_key)
        raise ConfigError(f"{key} is not set: add {key}=VALUE.") from None
    except OmegaConfBaseException as error:
        raise ConfigError(f"the configuration cannot be resolved: {_first_line(error)}.") from None
    assert isinstance(values, dict)
    return validate({str(key): value for key, value in values.items()})


def _register_kinds(config: DictConfig) -> None:
    """Import the user's kinds, and check that `dataset.task` is a kind.

    Raises:
        ConfigError: one of them cannot be used, or there is no such kind.
    """
    entries = config.get("kinds", [])
    register_kinds(OmegaConf.to_container(entries) if isinstance(entries, ListConfig) else entries)
    task = OmegaConf.select(config, "dataset.task", throw_on_resolution_failure=False)
    if isinstance(task, str):  # what is missing or of another type is reported by validation
        kind_named(task)


def _rate_of(rates: DictConfig, task: str, _root_: DictConfig) -> float:
    """Return a method's learning rate for a task kind, in `${rate_of:${.lr_by_task},${dataset.task}}`."""
    if task in rates:
        return float(rates[task])
    _register_kinds(_root_)
    return float(rates[kind_named(task).rates_of])


OmegaConf.register_new_resolver("rate_of", _rate_of, replace=True)


def explain(error: Exception) -> str:
    """Return one sentence on why composition failed: the culprit, and the valid choices.

    Args:
        error: exception of Hydra, OmegaConf or PyYAML.
    """
    if isinstance(error, MissingConfigException) and error.options and error.missing_cfg_file:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        choices = [name for name in error.options if not name.startswith("_")]  # _base is inherited by the choices
        return f"{group}={choice} does not exist: {did_you_mean(choice, choices)}."
    if isinstance(error, OverrideParseException):
        return f"cannot read {error.override!r}: write KEY=VALUE, and quote values with special characters."
    if isinstance(error, yaml.YAMLError):
        return f"the configuration cannot be read: {reason(error, width=_WHOLE)}."  # file and line included
    cause = error.__cause__
    if isinstance(cause, ConfigAttributeError | ConfigKeyError) and isinstance(cause.parent_node, DictConfig):
        if renamed := renamed_setting(str(cause.full_key)):
            return f"{renamed}."
        siblings = [str(key) for key in cause.parent_node if key != "hydra"]
        hint = did_you_mean(str(cause.key), siblings) if siblings else "the key above it has no settings"
        return f"{cause.full_key} is not a setting of ftlab: {hint}."
    return f"{_first_line(error)}."


def _first_line(error: Exception) -> str:
    """Return the first line of an error of Hydra or OmegaConf; the others are for developers."""
    return clause(str(error).strip().partition("\n")[0], _WHOLE) or type(error).__name__
