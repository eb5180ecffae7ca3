"""Flat configurations, and the settings that distinguish configurations of one method."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ftlab.record import RunRecord

FlatConfig = dict[str, Any]  # dotted key -> value

# Groups in which the name of a preset is clearer than the list of its values.
_NAMED_GROUPS = ("quant", "hardware", "budget", "loss")


def flatten_config(config: dict[str, Any], prefix: str = "") -> FlatConfig:
    """Return a nested configuration with dotted keys, as in an override; lists stay values."""
    flat: FlatConfig = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= flatten_config(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def determining_settings(record: RunRecord) -> FlatConfig:
    """Return the settings that determine a run's result, without the seed."""
    return flatten_config({key: value for key, value in record.determinants.items() if key != "seed"})


def content_hashes(record: RunRecord) -> dict[str, str]:
    """Return the hashes of data and base weights, if the run got as far as reading them."""
    hashes = {
        "data": record.data.hash if record.data else None,
        "base": record.base_model.get("sha256") if record.base_model else None,
    }
    return {part: digest for part, digest in hashes.items() if digest is not None}


def preset_names(record: RunRecord) -> dict[str, str]:
    """Return the name of the run's preset in each of the groups that are named by it."""
    return {group: record.config[group]["name"] for group in _NAMED_GROUPS if group in record.config}


def distinguishing_settings(
    configurations: Sequence[FlatConfig], presets: Sequence[Mapping[str, str]]
) -> list[dict[str, str]]:
    """Return the settings that distinguish each configuration from the others, such as `optim.lr`: `0.001`.

    Args:
        configurations: the determining settings of different configurations of one method.
        presets: the `preset_names` of each.

    Returns:
        Dotted key, or group -> text, per configuration, in the same order; empty if there is only one.
    """
    all_keys = list(dict.fromkeys(key for settings in configurations for key in settings))
    differing = [key for key in all_keys if len({_text(settings, key) for settings in configurations}) > 1]
    groups = [group for group in _NAMED_GROUPS if _name_is_enough(group, differing, configurations, presets)]
    keys = [key for key in differing if key.split(".", 1)[0] not in groups]
    return [
        {group: preset[group] for group in groups} | {key: _text(settings, key) for key in keys}
        for settings, preset in zip(configurations, presets, strict=True)
    ]


def setting_text(record: RunRecord, key: str) -> str | None:
    """Return a setting of a run, or the preset's name if the key is a group; None if the run has no such setting."""
    if key in _NAMED_GROUPS:
        return preset_names(record).get(key)
    settings = determining_settings(record)
    return _text(settings, key) if key in settings else None


def short_names(keys: Sequence[str]) -> list[str]:
    """Return the last part of each dotted key, or the whole key where several end alike."""
    ends = [key.rsplit(".", 1)[-1] for key in keys]
    return [end if ends.count(end) == 1 else key for key, end in zip(keys, ends, strict=True)]


def _name_is_enough(
    group: str, differing: Sequence[str], configurations: Sequence[FlatConfig], presets: Sequence[Mapping[str, str]]
) -> bool:
    """Whether the name of the preset and the differing values of its group correspond one to one."""
    keys = [key for key in differing if key.startswith(f"{group}.")]
    if not keys or not all(group in preset for preset in presets):
        return False
    pairs = {
        (preset[group], tuple(_text(settings, key) for key in keys))
        for settings, preset in zip(configurations, presets, strict=True)
    }
    return len(pairs) == len({name for name, _ in pairs}) == len({values for _, values in pairs})


def _text(settings: FlatConfig, key: str) -> str:
    if key not in settings:
        return "unset"
    value = settings[key]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
