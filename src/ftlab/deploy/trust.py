"""What a run's folder may make this process do. It may come from somebody else: it is data, and no code is run for it.

Weights are safetensors, and Transformers' own files are JSON. What is left are names of classes in the configuration,
code that a model brings along, and names of modules that PEFT would import.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra.utils import get_object
from peft import PeftConfig

from ftlab.errors import UserError
from ftlab.methods.base import TuningMethod
from ftlab.schema import RunConfig

_CLASSES = re.compile(r"peft\.\w+|ftlab\.methods\.\w+\.\w+")  # nothing else is imported to see what it is
_MODULES = {"megatron_core": "megatron.core"}  # settings of PEFT that name a module to import -> its own choice


def require_harmless(config: RunConfig, adapter: Path) -> None:
    """Refuse a run whose folder names code of others.

    Args:
        config: the run's configuration, as read from its folder.
        adapter: the folder with what the run trained.

    Raises:
        UserError: names the setting.
    """
    for reason in _reasons(config, adapter):
        raise UserError(f"{adapter.parent}: {reason}: add --trust if you trust whoever made this folder.")


def _reasons(config: RunConfig, adapter: Path) -> Iterator[str]:
    if config.model.trust_remote_code:
        yield "model.trust_remote_code=true would run code that the model brings along"
    settings = {"_target_": config.method.target, **(config.method.model_extra or {})}
    for path in sorted(adapter.glob("*.json")):
        try:
            settings[path.name] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(f"{path} is not valid JSON ({error}): restore it or run the job again.") from None
    for key, value in _leaves(settings):
        name = key.rpartition(".")[2]
        if name == "_target_" and not _is_known(value):
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


def _is_known(target: Any) -> bool:
    if not (isinstance(target, str) and _CLASSES.fullmatch(target)):
        return False
    try:
        found = get_object(target)
    except (ImportError, AttributeError, ValueError):
        return False
    return isinstance(found, type) and issubclass(found, TuningMethod | PeftConfig)
