"""Between Hydra and the schema: from what was composed to validated values, and from what was not to one sentence."""

import re
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from ftlab.errors import ConfigError, did_you_mean
from ftlab.paths import conf_dir
from ftlab.schema import RunConfig, validate


def resolve(config: DictConfig, *, sweep_dir: Path | None = None) -> RunConfig:
    """Return a composed configuration as validated values.

    Args:
        config: as Hydra composed it.
        sweep_dir: the folder of the sweep that the run belongs to; None: what the configuration says.

    Raises:
        ConfigError: a value is missing or not valid.
    """
    try:
        own = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
        plain = OmegaConf.to_container(own, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        key = str(error.full_key)
        raise ConfigError(f"{key} is not set: add {key}=VALUE.") from None
    except OmegaConfBaseException as error:
        raise ConfigError(f"the configuration cannot be resolved: {str(error).splitlines()[0]}.") from None
    assert isinstance(plain, dict)
    values = {str(key): value for key, value in plain.items()}
    if sweep_dir is not None:
        values["sweep"] = {**values["sweep"], "dir": str(sweep_dir)}
    return validate(values)


def explain(error: Exception, arguments: list[str]) -> str:
    """Return one sentence that names what Hydra could not compose, and what would be right.

    Args:
        error: Hydra's or OmegaConf's exception.
        arguments: the command line, for the choices that decide which keys there are.
    """
    if isinstance(error, MissingConfigException) and error.options and error.missing_cfg_file:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        return f"{group}={choice} does not exist: {did_you_mean(choice, error.options)}."
    if isinstance(error, OverrideParseException):
        return f"cannot read {error.override!r}: write KEY=VALUE, and quote values that hold special characters."
    text = f"{error}\n{error.__cause__ or ''}"
    if wrong := re.search(r"Could not override '([^']+)'", text):
        parent, _, name = wrong[1].rpartition(".")
        return f"{wrong[1]} is not a setting of ftlab: {did_you_mean(name, _keys_below(parent, arguments))}."
    return f"{str(error).splitlines()[0].rstrip('.')}."


def _keys_below(parent: str, arguments: list[str]) -> list[str]:
    """Return the keys below `parent`, as the command line's choices of groups compose it."""
    parser = OverridesParser.create()
    overrides = [parser.parse_override(argument) for argument in arguments if re.match(r"[\w/]+=", argument)]
    choices = [
        str(override.input_line)
        for override in overrides
        if (conf_dir() / override.key_or_group).is_dir() and not override.is_sweep_override()
    ]
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = compose("train", overrides=choices)
    node = OmegaConf.select(config, parent) if parent else config
    return [str(key) for key in node] if isinstance(node, DictConfig) else []
