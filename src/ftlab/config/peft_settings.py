"""Settings of PEFT's configuration classes, read from its source: importing it would import torch."""

import ast
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ftlab.core.errors import ConfigError, did_you_mean

_PACKAGE = "peft"
_SET_BY_FTLAB = frozenset(("task_type", "inference_mode", "peft_type", "auto_mapping", "peft_version"))


def peft_settings(target: object) -> frozenset[str]:
    """Return the settings of a class such as `peft.LoraConfig`; none if it is not a class of PEFT's with a source."""
    package, _, name = str(target).rpartition(".")
    return frozenset(_fields(name)) - _SET_BY_FTLAB if package == _PACKAGE else frozenset()


def require_peft_settings(method: Any) -> None:
    """Check that `method.config` has no setting that its PEFT class does not have.

    Raises:
        ConfigError: it has one; names the closest.
    """
    config = method.get("config") if isinstance(method, dict) else None
    target = config.get("_target_") if isinstance(config, dict) else None
    if not isinstance(config, dict) or not (settings := peft_settings(target)):
        return
    for key in config:
        if key not in settings | _SET_BY_FTLAB | {"_target_"}:
            raise ConfigError(f"method.config.{key} is not a setting of {target}: {did_you_mean(str(key), settings)}.")


@cache
def _fields(name: str) -> tuple[str, ...]:
    """Return the annotated fields of a class of PEFT and of its bases."""
    definition = _definition(name)
    if definition is None:
        return ()
    fields = [
        part.target.id
        for part in definition.body
        if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)
    ]
    bases = [base.id for base in definition.bases if isinstance(base, ast.Name)]
    return (*(field for base in bases for field in _fields(base)), *fields)


def _definition(name: str) -> ast.ClassDef | None:
    """Return the definition of a class in the modules that have PEFT's configurations; None: none of them has it."""
    for text in _sources():
        if re.search(rf"^class {re.escape(name)}\b", text, re.M):
            return next(node for node in ast.parse(text).body if isinstance(node, ast.ClassDef) and node.name == name)
    return None


@cache
def _sources() -> tuple[str, ...]:
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        return ()
    folder = Path(spec.origin).parent
    paths = [path for pattern in ("*", "tuners/*/config", "tuners/*utils") for path in folder.glob(f"{pattern}.py")]
    return tuple(path.read_text(encoding="utf-8") for path in sorted(paths))
