"""Composition of the configuration by Hydra: from overrides to validated values, from its errors to one sentence."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import yaml
from hydra.core.config_loader import ConfigLoader
from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException

from ftlab.config.kinds import all_kinds, kind_named, register_kinds
from ftlab.config.moved import renamed_setting
from ftlab.config.paths import conf_dir
from ftlab.config.peft_settings import peft_settings, require_peft_settings
from ftlab.config.run_config import RunConfig, validate
from ftlab.core.errors import ConfigError, clause, did_you_mean, reason

# Groups whose choices may be given as a path by mistake -> what to write.
_FILES = {
    "model": "model=hf model.name={0}",
    "dataset": "dataset=text_files dataset.source.train={0}, or another preset for files",
}
_SEVERAL_VALUES = re.compile(r"(?:Ambiguous value for argument|Sweep parameters) '(.*?)'(?:$| requires|\n)", re.S)
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
    require_peft_settings(values.get("method"))
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


def _without_responses(length: int, _root_: DictConfig) -> int | None:
    """Return a length for data whose rows have no responses, and null for others, in `${without_responses:64}`.

    Few dialogues fit into the short examples of a quick budget, and a prompt whose response is cut off teaches nothing.
    """
    _register_kinds(_root_)
    dataset = OmegaConf.to_container(_root_.dataset)  # what is wrong in it is reported by validation
    assert isinstance(dataset, dict)
    parts = dataset.get("parts")
    all_data = [dataset, *(parts.values() if isinstance(parts, dict) else ())]
    tasks = [data.get("task") for data in all_data if isinstance(data, dict)]
    return None if any(kind.generates and kind.name in tasks for kind in all_kinds()) else length


OmegaConf.register_new_resolver("rate_of", _rate_of, replace=True)
OmegaConf.register_new_resolver("without_responses", _without_responses, replace=True)


def explain(error: Exception) -> str:
    """Return one sentence on why composition failed: the culprit, and the valid choices.

    Args:
        error: exception of Hydra, OmegaConf or PyYAML.
    """
    if isinstance(error, MissingConfigException) and error.options and error.missing_cfg_file:
        choices = [name for name in error.options if not name.startswith("_")]  # _base is inherited by the choices
        group, choice = _group_and_choice(error.missing_cfg_file)
        if (remedy := _FILES.get(group)) and _is_path(choice):
            return f"{group}={choice} is not the name of a preset: write {remedy.format(choice)}."
        return f"{group}={choice} does not exist: {did_you_mean(choice, choices)}."
    if several := _SEVERAL_VALUES.match(str(error)):
        return f"{several[1]} has several values: {_ways_out(several[1])}."
    if "BasicSweeper does not support" in str(error):
        return (
            "interval(…) and the like are for a search: add hydra/sweeper=optuna, or give values, as in KEY=1e-4,1e-3."
        )
    if isinstance(error, OverrideParseException):
        key, _, value = (error.override or "").partition("=")
        quoted = shlex.quote(f'{key}="{value}"') if value and '"' not in value else """'KEY="VALUE"'"""
        return (
            f"cannot read {error.override!r}: write KEY=VALUE, and where the value has special characters, such as "
            f"Chinese ones, quote it so that the shell leaves the quotes: {quoted}."
        )
    if isinstance(error, yaml.YAMLError):
        return f"the configuration cannot be read: {reason(error, width=_WHOLE)}."  # file and line included
    cause = error.__cause__
    if isinstance(cause, ConfigAttributeError | ConfigKeyError) and isinstance(cause.parent_node, DictConfig):
        if renamed := renamed_setting(str(cause.full_key)):
            return f"{renamed}."
        below = _same_name_below(cause.parent_node, str(cause.key))
        if below:
            return f"{cause.full_key} is not a setting of ftlab: did you mean {' or '.join(below)}?"
        siblings = [str(key) for key in cause.parent_node if key != "hydra"]
        hint = did_you_mean(str(cause.key), siblings) if siblings else "the key above it has no settings"
        return f"{cause.full_key} is not a setting of ftlab: {hint}."
    return f"{_first_line(error)}."


def _ways_out(override: str) -> str:
    """Return what may have been meant by several values without -m."""
    key, _, value = override.partition("=")
    sweep = "add -m to run an experiment for each"
    return sweep if "(" in value else f"{sweep}, or write {key}=[{value}] for a list, {key}=\"'{value}'\" for a text"


def missing_peft_setting(error: Exception) -> str | None:
    """Return the key of an override that was refused because the preset does not list it, though PEFT has it."""
    cause = error.__cause__
    if not (isinstance(cause, ConfigAttributeError | ConfigKeyError) and isinstance(cause.parent_node, DictConfig)):
        return None
    key = str(cause.full_key)
    target = cause.parent_node.get("_target_")
    return key if key.startswith("method.config.") and str(cause.key) in peft_settings(target) else None


def _group_and_choice(name: str) -> tuple[str, str]:
    """Split the name of a choice's file; the choice may be a path, and a group may have a slash as well."""
    groups = [path.relative_to(conf_dir()).as_posix() for path in conf_dir().rglob("*") if path.is_dir()]
    groups = [group for group in sorted(groups, key=len, reverse=True) if name.startswith(f"{group}/")]
    group = groups[0] if groups else name.rpartition("/")[0]
    return group, name.removeprefix(f"{group}/")


def _is_path(choice: str) -> bool:
    return "/" in choice or choice.startswith((".", "~")) or Path(choice).exists()


def _same_name_below(node: DictConfig, name: str) -> list[str]:
    """Return the full keys of the nearest settings of this name below a node, with those that a PEFT class has."""
    values = OmegaConf.to_container(node)
    assert isinstance(values, dict)
    prefix = f"{key}." if (key := node._get_full_key("")) else ""
    level = {str(key): value for key, value in values.items() if key != "hydra"}
    while level := {key: value for key, value in level.items() if isinstance(value, dict)}:
        named = [key for key, value in level.items() if name in value or name in peft_settings(value.get("_target_"))]
        if named:
            return [f"{prefix}{key}.{name}" for key in sorted(named)]
        level = {f"{key}.{part}": child for key, value in level.items() for part, child in value.items()}
    return []


def _first_line(error: Exception) -> str:
    """Return the first line of an error of Hydra or OmegaConf; the others are for developers."""
    return clause(str(error).strip().partition("\n")[0], _WHOLE) or type(error).__name__
