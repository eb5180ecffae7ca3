"""Safety checks of a run's folder, which may come from somebody else: it must not make this process run its code.

Weights are safetensors and Transformers' files are JSON, so both are safe; checkpoints are read as tensors and plain
values. The rest is checked here: names of classes and functions in the configuration, custom code of a model, and names
of modules that PEFT would import. Imports torch only to look at a class.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

from hydra.utils import get_object

from ftlab.config.paths import conf_dir
from ftlab.config.run_config import RunConfig, validate
from ftlab.core.errors import ConfigError, UserError
from ftlab.record.folder import ADAPTER
from ftlab.record.reading import read_json

_CLASSES = re.compile(r"peft\.\w+|ftlab\.methods\.\w+\.\w+")  # only these are imported for the check
_MODULES = {"megatron_core": "megatron.core"}  # PEFT settings that name a module to import -> PEFT's default
_SOURCES = "ftlab.data.sources."
_IN_A_PRESET = re.compile(r"^\s*_target_: ([\w.]+)", re.MULTILINE)


def recorded_config(
    config: Mapping[str, Any], directory: Path, *, trust: bool = False, kinds: Sequence[str] = ()
) -> RunConfig:
    """Return the validated configuration of a record; task kinds that it names are imported with `trust` alone.

    Args:
        config: the configuration in the record, as read from the run's folder.
        directory: the run's folder.
        trust: whether to import what the folder names.
        kinds: modules or files with task kinds, instead of those that the folder names.

    Raises:
        UserError: it names task kinds that are not ftlab's, or the run was imported.
        ConfigError: it is not valid.
    """
    if "imported" in config:  # see ftlab.importers
        raise UserError(
            f"{directory} was imported: it has another tool's numbers and no model, so give a run of ftlab."
        )
    settings = {**config, "kinds": [*kinds]} if kinds else dict(config)
    if not trust and (named := settings.get("kinds")) and not kinds:
        raise UserError(
            f"{directory}: kinds={named} would import task kinds that are not ftlab's: add --trust (in Python "
            "trust=True) if you trust the author of this folder, or name your own with --kinds (kinds=[…])."
        )
    try:
        return validate(settings)
    except RecursionError:
        raise ConfigError("it is nested too deeply.") from None


def require_harmless(config: RunConfig, adapter: Path) -> None:
    """Check that a run's folder names no third-party code that its model would run.

    Args:
        config: the run's configuration, as read from its folder.
        adapter: the folder with the trained weights.

    Raises:
        UserError: it does; names the setting.
    """
    _refuse(_in_model_and_method(config, adapter), adapter.parent)


def require_harmless_training(config: RunConfig, directory: Path) -> None:
    """Check that a run's configuration names no third-party code that training would run: its data's, too.

    Args:
        config: the run's configuration, as read from its folder.
        directory: the run's folder.

    Raises:
        UserError: it does; names the setting.
    """
    _refuse(chain(_in_model_and_method(config, directory / ADAPTER), _in_other_settings(config)), directory)


def _refuse(reasons: Iterator[str], directory: Path) -> None:
    for reason in reasons:
        raise UserError(
            f"{directory}: {reason}: add --trust (in Python trust=True) if you trust the author of this folder."
        )


def _in_model_and_method(config: RunConfig, adapter: Path) -> Iterator[str]:
    if config.model.trust_remote_code:
        yield "model.trust_remote_code=true would run custom code of the model"
    settings = {"_target_": config.method.target, **(config.method.model_extra or {})}
    for path in sorted(adapter.glob("*.json")):
        settings[path.name] = read_json(path)
    for key, value in _leaves(settings):
        name = key.rpartition(".")[2]
        if name == "_target_" and not _is_allowed_class(value):
            yield f"method.{key}={value} is neither a method of ftlab nor a configuration of PEFT"
        elif name in _MODULES and value not in (None, _MODULES[name]):
            yield f"{key}={value} would import a module"
        elif "trust_remote_code" in key.split(".") and value:
            yield f"{key}={value} would run custom code"
        elif isinstance(value, str) and "${" in value and ".json." not in key:
            yield f"method.{key} holds an interpolation"  # a resolved configuration has none


def _in_other_settings(config: RunConfig) -> Iterator[str]:
    settings = config.model_dump(mode="json", by_alias=True, exclude={"method"})
    for key, value in _leaves(settings):
        name = key.rpartition(".")[2]
        if name == "_target_" and not (value in _targets_of_presets() and value.startswith(_SOURCES)):
            yield f"{key}={value} is no source of rows of ftlab"
        elif "trust_remote_code" in key.split(".") and value:
            yield f"{key}={value} would run custom code"
        elif ".source." in key and isinstance(value, str) and "${" in value:
            yield f"{key} holds an interpolation"  # a resolved configuration has none


@cache
def _targets_of_presets() -> frozenset[str]:
    """Return the classes and functions that ftlab's own configuration names."""
    texts = (path.read_text(encoding="utf-8") for path in conf_dir().rglob("*.yaml"))
    return frozenset(name for text in texts for name in _IN_A_PRESET.findall(text))


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for name, member in items:
            yield from _leaves(member, f"{key}.{name}" if key else str(name))
    else:
        yield key, value


def _is_allowed_class(target: Any) -> bool:
    if not (isinstance(target, str) and _CLASSES.fullmatch(target)):
        return False
    if target in _targets_of_presets():
        return True
    try:
        cls = get_object(target)
    except (ImportError, AttributeError, ValueError):
        return False
    from peft import PeftConfig  # imports torch

    from ftlab.methods.base import TuningMethod

    return isinstance(cls, type) and issubclass(cls, TuningMethod | PeftConfig)
