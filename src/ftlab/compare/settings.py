"""Configurations as flat settings, and how the name of each tells it apart from the others."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ftlab.record import RunRecord

Settings = dict[str, Any]  # dotted key -> value

# Presets whose name says more than the list of the values it stands for.
_NAMED_GROUPS = ("quant", "hardware", "budget", "loss")


def flatten(config: dict[str, Any], prefix: str = "") -> Settings:
    """Return nested settings under dotted keys, as one would type them; lists stay values."""
    flat: Settings = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def decisive(record: RunRecord) -> Settings:
    """Return the settings that determine a run's result, the seed left out."""
    return flatten({key: value for key, value in record.determinants.items() if key != "seed"})


def contents(record: RunRecord) -> dict[str, str]:
    """Return the hashes of data and base weights, as far as the run came to read them."""
    hashes = {
        "data": record.data.hash if record.data else None,
        "base": record.base_model.get("sha256") if record.base_model else None,
    }
    return {part: digest for part, digest in hashes.items() if digest is not None}


def presets(record: RunRecord) -> dict[str, str]:
    """Return the name of the preset that a run took, for each group where it says much."""
    return {group: record.config[group]["name"] for group in _NAMED_GROUPS if group in record.config}


def suffixes(configurations: Sequence[Settings], names: Sequence[Mapping[str, str]]) -> list[str]:
    """Return what tells each configuration apart from the others, such as `optim.lr=0.001`.

    Args:
        configurations: the decisive settings of different configurations of one method.
        names: the presets of each.

    Returns:
        One text per configuration, in the same order; empty where there is only one.
    """
    keys = list(dict.fromkeys(key for settings in configurations for key in settings))
    differing = [key for key in keys if len({_text(settings, key) for settings in configurations}) > 1]
    named = [group for group in _NAMED_GROUPS if _name_says_all(group, differing, configurations, names)]
    spelt_out = [key for key in differing if key.split(".", 1)[0] not in named]
    return [
        " ".join([f"{group}={own[group]}" for group in named] + [f"{key}={_text(settings, key)}" for key in spelt_out])
        for settings, own in zip(configurations, names, strict=True)
    ]


def _name_says_all(
    group: str, differing: Sequence[str], configurations: Sequence[Settings], names: Sequence[Mapping[str, str]]
) -> bool:
    """Whether the preset's name determines, and is determined by, the differing values below it."""
    below = [key for key in differing if key.startswith(f"{group}.")]
    if not below or not all(group in own for own in names):
        return False
    pairs = {
        (own[group], tuple(_text(settings, key) for key in below))
        for settings, own in zip(configurations, names, strict=True)
    }
    return len(pairs) == len({name for name, _ in pairs}) == len({values for _, values in pairs})


def _text(settings: Settings, key: str) -> str:
    if key not in settings:
        return "unset"
    value = settings[key]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
