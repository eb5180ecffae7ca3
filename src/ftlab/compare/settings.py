"""Configurations as flat settings: what makes two runs the same configuration, and how its name tells it apart."""

import json
from collections.abc import Sequence
from typing import Any

Settings = dict[str, Any]  # dotted key -> value

# Keys that never make two configurations different, each with everything below it.
_NO_DIFFERENCE = (
    "seed",  # what is averaged over
    "sweep",
    "tracker",
    "hydra",
    "paths",
    "method.lr",  # optim.lr follows it, and optim.lr is what trains
    "method.name",
    "method.search",
    "method.expect",
    "model.name",
    "model.note",
    "dataset.name",
    "hardware.name",  # the values below count, not what the preset is called
    "hardware.eval_batch_size",
    "budget.name",
)
# Presets whose name says more than the list of the values it stands for.
_NAMED_GROUPS = ("quant", "hardware", "budget")


def flatten(config: dict[str, Any], prefix: str = "") -> Settings:
    """Return nested settings under dotted keys, as one would type them; lists stay values."""
    flat: Settings = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def decisive(settings: Settings) -> Settings:
    """Return the settings that can change the result or its cost, the seed left out."""
    return {
        key: value
        for key, value in settings.items()
        if not any(key == ignored or key.startswith(f"{ignored}.") for ignored in _NO_DIFFERENCE)
    }


def identity(settings: Settings) -> str:
    """Return a text that is equal for two runs exactly when they are the same configuration."""
    return json.dumps(decisive(settings), sort_keys=True, default=str)


def suffixes(configurations: Sequence[Settings]) -> list[str]:
    """Return what tells each configuration apart from the others, such as `optim.lr=0.001`.

    Args:
        configurations: the flat settings of different configurations of one method.

    Returns:
        One text per configuration, in the same order; empty where there is only one.
    """
    decided = [decisive(settings) for settings in configurations]
    keys = list(dict.fromkeys(key for settings in decided for key in settings))
    differing = [key for key in keys if len({_text(settings, key) for settings in decided}) > 1]
    parts: list[list[str]] = [[] for _ in configurations]
    named = {group for group in _NAMED_GROUPS if _name_says_all(group, differing, configurations)}
    for group in sorted(named, key=_NAMED_GROUPS.index):
        for part, settings in zip(parts, configurations, strict=True):
            part.append(f"{group}={settings[f'{group}.name']}")
    for key in differing:
        if key.split(".", 1)[0] in named:
            continue
        for part, settings in zip(parts, decided, strict=True):
            part.append(f"{key}={_text(settings, key)}")
    return [" ".join(part) for part in parts]


def _name_says_all(group: str, differing: Sequence[str], configurations: Sequence[Settings]) -> bool:
    """Whether the preset's name determines, and is determined by, the differing values below it."""
    below = [key for key in differing if key.startswith(f"{group}.")]
    name = f"{group}.name"
    if not below or not all(name in settings for settings in configurations):
        return False
    pairs = {(settings[name], tuple(_text(settings, key) for key in below)) for settings in configurations}
    return len(pairs) == len({label for label, _ in pairs}) == len({values for _, values in pairs})


def _text(settings: Settings, key: str) -> str:
    if key not in settings:
        return "unset"
    value = settings[key]
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)
