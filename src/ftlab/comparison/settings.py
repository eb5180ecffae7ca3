"""Flat configurations, the settings that distinguish configurations of one method, and labels of runs made of them."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ftlab.record import RunRecord

FlatConfig = dict[str, Any]  # dotted key -> value

LEARNING_RATE = "optim.lr"
_PER_SEED = "per seed"  # stands for a learning rate that was searched for each seed

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


def is_searched_per_seed(record: RunRecord) -> bool:
    """Return whether each seed of this configuration has a learning rate of its own, from a search (`per_seed`)."""
    search = record.config.get("search")  # of a record, which anybody may have edited
    searches = isinstance(search, dict) and search.get("name") == "lr" and search.get("per_seed") is True
    return searches and determining_settings(record).get(LEARNING_RATE) is not None


def settings_of_row(record: RunRecord) -> FlatConfig:
    """Return the determining settings by which runs are put into rows: a rate searched per seed tells none apart."""
    settings = determining_settings(record)
    return settings | {LEARNING_RATE: _PER_SEED} if is_searched_per_seed(record) else settings


def content_hashes(record: RunRecord) -> dict[str, str]:
    """Return the hashes of data and base weights, if the run got as far as reading them."""
    hashes = {
        "data": record.data.hash if record.data else None,
        "base": record.base_model.get("sha256") if record.base_model else None,
    }
    return {part: digest for part, digest in hashes.items() if digest is not None}


def preset_names(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the name of a configuration's preset in each of the groups that are named by it."""
    groups = {group: config.get(group) for group in _NAMED_GROUPS}  # of a record, which anybody may have edited
    return {
        group: str(values["name"]) for group, values in groups.items() if isinstance(values, dict) and "name" in values
    }


@dataclass(frozen=True)
class RunSettings:
    """Settings of a run by which it is told from others of its sweep.

    Attributes:
        names: method, model and data set; before them `trial`, if it is one.
        seed: of the run.
        determining: the settings that determine its result, without the seed.
        presets: see `preset_names`.
    """

    names: tuple[str, ...]
    seed: int
    determining: FlatConfig
    presets: Mapping[str, str]

    @classmethod
    def of(cls, record: RunRecord) -> "RunSettings":
        """Return the settings of a run that has a record."""
        names = ("" if record.role == "run" else record.role, record.method, record.model, record.dataset)
        return cls(names, record.seed, determining_settings(record), preset_names(record.config))


def run_labels(runs: Sequence[RunSettings]) -> list[str]:
    """Return a label for each run of a sweep, of what differs between them, as `lora lr=0.001 seed=1`; may be empty."""
    varied = [len(set(column)) > 1 for column in zip(*(run.names for run in runs), strict=True)]
    groups: dict[tuple[str, ...], list[RunSettings]] = defaultdict(list)
    for run in runs:
        groups[run.names].append(run)
    settings = {
        id(run): distinguishing
        for members in groups.values()
        for run, distinguishing in zip(
            members,
            distinguishing_settings([run.determining for run in members], [run.presets for run in members]),
            strict=True,
        )
    }
    keys = list(dict.fromkeys(key for distinguishing in settings.values() for key in distinguishing))
    short = dict(zip(keys, short_names(keys), strict=True))
    several_seeds = len({run.seed for run in runs}) > 1
    return [
        " ".join(
            [
                *(name for name, varies in zip(run.names, varied, strict=True) if varies and name),
                *(f"{short[key]}={text}" for key, text in settings[id(run)].items()),
                *([f"seed={run.seed}"] if several_seeds else []),
            ]
        )
        for run in runs
    ]


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
        return preset_names(record.config).get(key)
    settings = settings_of_row(record)
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
