"""Overrides of a resolved configuration, such as that of a run: single keys, in Hydra's grammar, without presets."""

import copy
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from ftlab.config.moved import renamed_setting
from ftlab.config.paths import conf_dir
from ftlab.config.run_config import settings_left_out
from ftlab.core.errors import ConfigError, did_you_mean

# Settings that another one was derived from when the configuration was composed -> that one.
_DERIVED = {"method.lr": "optim.lr", "method.lr_by_task": "optim.lr"}
_OF_SEVERAL_RUNS = {"plan", "search.name", "search.role", "search.trials", "search.seeds", "budget.trials"}


def with_overrides(values: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return a resolved configuration with other values for some keys; it is not validated yet.

    Args:
        values: the configuration, as plain values.
        overrides: `KEY=VALUE` with a dotted key that it has; `+KEY=VALUE` adds one, as to a method's arguments.

    Raises:
        ConfigError: there is no such key, or the override needs the presets or several runs.
        HydraException: a text is no override.
    """
    changed: dict[str, Any] = copy.deepcopy(dict(values))
    for text in overrides:
        _require_no_flag(text)
        (override,) = OverridesParser.create().parse_overrides([text])
        _require_single_setting(override, text)
        _set(changed, override, text)
    return changed


def _require_no_flag(text: str) -> None:
    if text in ("-m", "--multirun"):
        raise ConfigError(f"{text} is for sweeps, and this repeats one run: leave it out.")
    if text.startswith("-"):
        raise ConfigError(f"{text} is not an option of this command: see --help.")


def _require_single_setting(override: Override, text: str) -> None:
    """Refuse what cannot be applied to one resolved configuration."""
    key = override.key_or_group
    if key == "hydra" or key.startswith(("hydra.", "hydra/")):
        raise ConfigError(f"{text} is about a sweep's launch, and this repeats one run on this machine: leave it out.")
    if override.is_sweep_override():
        raise ConfigError(f"{text} has several values, and this repeats one run: give one value.")
    if override.is_delete():
        raise ConfigError(f"{text} removes a setting, and each has a value in a run: set {key}=VALUE, or null.")
    if "/" in key or override.package is not None or (conf_dir() / key).is_dir():
        raise ConfigError(
            f"{text} chooses a preset, and a run is repeated from its resolved settings: set single ones, such as "
            f"optim.lr=1e-3, or start anew with ftlab train {shlex.quote(text)}."
        )
    if key == "kinds":
        raise ConfigError(f"{text} names task kinds: give them with --kinds.")
    if key in _OF_SEVERAL_RUNS:
        raise ConfigError(f"{key} is for sweeps and searches, and this repeats one run: leave it out.")
    for source, derived in _DERIVED.items():
        if key == source or key.startswith(f"{source}."):
            raise ConfigError(f"{key} is only the default of {derived}, which has a value in a run: set {derived}.")


def _set(values: dict[str, Any], override: Override, text: str) -> None:
    key = override.key_or_group
    if renamed := renamed_setting(key):
        raise ConfigError(f"{renamed}.")
    place: Any = values
    *parents, last = parts = key.split(".")
    for number, part in enumerate(parents, 1):
        if not isinstance(place, dict) or part not in place:
            raise _unknown(place, parts[:number])
        place = place[part]
    adds = override.is_add() or override.is_force_add() or last in settings_left_out(tuple(parts))
    if not isinstance(place, dict) or not (last in place or adds):
        raise _unknown(place, parts)
    if isinstance(place.get(last), dict) and place[last]:
        raise ConfigError(
            f"{text} would replace all of {key}: set one of its keys, {', '.join(map(str, place[last]))}."
        )
    value = override.value()
    if isinstance(value, str) and "${" in value and parts[0] != "dataset":  # templates may have it
        raise ConfigError(f"{text} refers to other settings, which is possible in presets alone: write the value.")
    place[last] = value


def _unknown(place: Any, parts: Sequence[str]) -> ConfigError:
    key = ".".join(parts)
    if not isinstance(place, dict):
        return ConfigError(f"{key} is not a setting of this run: {'.'.join(parts[:-1])} is a value without keys.")
    return ConfigError(f"{key} is not a setting of this run: {did_you_mean(parts[-1], map(str, place))}.")
