"""Registry of the task kinds: those of `ftlab.kinds`, and a user's own. Imports no torch.

A user's kind is named by the setting `kinds`, as a module or as the path of a Python file, or lies in the folder
`kinds` of a --config-dir. Its code runs, so `kinds` of a run's folder counts only with --trust.
"""

import ast
import importlib
import os
import pkgutil
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from hydra.utils import get_object

from ftlab.config.task_kind import TaskKind
from ftlab.core.errors import ConfigError, did_you_mean

_BUILT_IN = "ftlab.kinds"
_USERS: dict[str, tuple[TaskKind, str]] = {}  # name -> a user's kind, and the entry of `kinds` that defines it


def kind_named(name: str) -> TaskKind:
    """Return the task kind of this name, as in `dataset.task`.

    Raises:
        ConfigError: there is none.
    """
    if name in _USERS:
        return _USERS[name][0]
    if name not in _built_in():
        raise ConfigError(
            f"dataset.task={name} is no task kind: {did_you_mean(name, [*_built_in(), *_USERS])}; name the module of a "
            "kind of your own with kinds=[MODULE]."
        )
    return _built_in()[name]


def all_kinds() -> list[TaskKind]:
    """Return every known kind, ftlab's own first."""
    return [*_built_in().values(), *(kind for kind, _ in _USERS.values())]


def names_of(kinds: Iterable[TaskKind]) -> str:
    """Return the names of kinds as a list in a sentence."""
    return " or ".join(kind.name for kind in kinds)


def entry_of(name: str) -> str | None:
    """Return the entry of `kinds` that defines this kind; None for one of ftlab's own."""
    return _USERS[name][1] if name in _USERS else None


def module_of(entry: str) -> str:
    """Return the name of the module that an entry of `kinds` names; it is the same on every machine."""
    return Path(entry).stem if _is_path(entry) else entry


def register_kinds(entries: Sequence[str]) -> None:
    """Import a user's kinds, which may then be a `dataset.task`.

    Modules are also searched in the working directory, like those of a user's methods.

    Args:
        entries: names of modules, or paths of Python files, whose folder is searched for the modules that they name.

    Raises:
        ConfigError: a module cannot be imported, has no KIND, lacks a part of it, or defines a name that is taken.
    """
    for entry in entries:
        absolute = str(Path(entry).expanduser().resolve()) if _is_path(entry) else entry
        kind = _kind_of(_import(absolute), absolute)
        defined_by = _USERS[kind.name][1] if kind.name in _USERS else absolute
        if kind.name in _built_in() or defined_by != absolute:
            owner = "ftlab" if kind.name in _built_in() else defined_by
            raise ConfigError(f"kinds={entry} defines the task kind {kind.name}, which {owner} defines: rename it.")
        _USERS[kind.name] = (kind, absolute)


def kind_files(folder: Path) -> list[str]:
    """Return the Python files in a folder that define a KIND, without running them."""
    return [str(path) for path in sorted(folder.glob("*.py")) if _assigns_kind(path)]


def load_part(kind: TaskKind, path: str) -> Any:
    """Return the class or function that a kind names as one of its parts.

    Raises:
        ConfigError: it cannot be imported.
    """
    try:
        return get_object(path)
    except Exception as error:
        reason = (str(error.__cause__ or error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise ConfigError(
            f"the task kind {kind.name} names {path}, which cannot be imported ({reason}): correct its KIND."
        ) from error


@cache
def _built_in() -> dict[str, TaskKind]:
    package = importlib.import_module(_BUILT_IN)
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    kinds = [importlib.import_module(f"{_BUILT_IN}.{name}").KIND for name in names]
    return {kind.name: kind for kind in kinds}


def _is_path(entry: str) -> bool:
    return entry.endswith(".py")


def _import(entry: str) -> ModuleType:
    path = Path(entry) if _is_path(entry) else None
    folder, name = (str(path.parent), path.stem) if path else (os.getcwd(), entry)
    if path and not path.is_file():
        raise ConfigError(f"kinds={entry} does not exist: restore the file, or correct its path.")
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        module = importlib.import_module(name)
    except Exception as error:  # the user's own code
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}".rstrip(": .")
        if isinstance(error, TypeError) and "TaskKind" in str(error):
            reason = str(error).replace("TaskKind.__init__()", "KIND").replace("keyword-only arguments", "of its parts")
        raise ConfigError(f"kinds={entry} cannot be imported ({reason}): correct it.") from error
    if path and Path(str(module.__file__)).resolve() != path:
        raise ConfigError(f"kinds={entry} is hidden by another module called {name}, {module.__file__}: rename it.")
    return module


def _kind_of(module: ModuleType, entry: str) -> TaskKind:
    kind = getattr(module, "KIND", None)
    if not isinstance(kind, TaskKind):
        raise ConfigError(
            f"kinds={entry} has no KIND: set KIND = TaskKind(…) there, with ftlab.config.task_kind.TaskKind."
        )
    parts = {
        "data": kind.data,
        "head.module": kind.head.module,
        "preview": kind.preview,
        "predict": kind.predict,
        "usage": kind.usage,
    }
    for part, path in parts.items():
        if path is not None and not _module_exists(path.rpartition(".")[0]):
            raise ConfigError(f"kinds={entry}: KIND.{part}={path} names no module that can be imported: correct it.")
    return kind


def _module_exists(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _assigns_kind(path: Path) -> bool:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError) as error:
        raise ConfigError(f"{path} cannot be read as Python ({error}): correct it, or move it elsewhere.") from None
    targets = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
    annotated = [node.target for node in tree.body if isinstance(node, ast.AnnAssign)]
    return any(isinstance(target, ast.Name) and target.id == "KIND" for target in [*targets, *annotated])
