"""Safety checks of a run's folder, which may come from somebody else: it must not make this process run its code.

Weights are safetensors and Transformers' files are JSON, so both are safe. The rest is checked here: class names in the
configuration, custom code of a model, and names of modules that PEFT would import.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hydra.utils import get_object
from peft import PeftConfig

from ftlab.config.run_config import RunConfig
from ftlab.core.errors import UserError
from ftlab.methods.base import TuningMethod
from ftlab.record.reading import read_json

_CLASSES = re.compile(r"peft\.\w+|ftlab\.methods\.\w+\.\w+")  # only these are imported for the check
_MODULES = {"megatron_core": "megatron.core"}  # PEFT settings that name a module to import -> PEFT's default


def require_harmless(config: RunConfig, adapter: Path) -> None:
    """Check that a run's folder names no third-party code.

    Args:
        config: the run's configuration, as read from its folder.
        adapter: the folder with the trained weights.

    Raises:
        UserError: it does; names the setting.
    """
    for reason in _reasons(config, adapter):
        raise UserError(
            f"{adapter.parent}: {reason}: add --trust (in Python trust=True) if you trust the author of this folder."
        )


def require_no_foreign_kinds(config: Mapping[str, Any], directory: Path) -> None:
    """Check that a run's configuration names no modules with task kinds; to be called before it is validated.

    Args:
        config: the configuration in the record, as read from the run's folder.
        directory: the run's folder.

    Raises:
        UserError: it does: validating the configuration would import them.
    """
    if kinds := config.get("kinds"):
        raise UserError(
            f"{directory}: kinds={kinds} would import task kinds that are not ftlab's: add --trust (in Python "
            "trust=True) if you trust the author of this folder, or name your own with --kinds (kinds=[…])."
        )


def _reasons(config: RunConfig, adapter: Path) -> Iterator[str]:
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
        elif isinstance(value, str) and "${" in value and ".json." not in key:
            yield f"method.{key} holds an interpolation"  # a resolved configuration has none


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
    try:
        cls = get_object(target)
    except (ImportError, AttributeError, ValueError):
        return False
    return isinstance(cls, type) and issubclass(cls, TuningMethod | PeftConfig)
