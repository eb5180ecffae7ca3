"""Registry of the task kinds: those of `ftlab.kinds`, and a user's own. Imports no torch.

A user's kind is named by the setting `kinds`, as a module or as the path of a Python file, or lies in the folder
`kinds` of a --config-dir. Its code runs, so `kinds` of a run's folder counts only with --trust.
"""

import importlib
import pkgutil
from collections.abc import Iterable
from functools import cache
from inspect import getattr_static
from pathlib import Path
from types import ModuleType
from typing import Any

from ftlab.config.kind_modules import import_kind, is_file, problem_of, reason_of
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
            "kind of your own with kinds=[MODULE], or with --kinds for a finished run."
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
    return Path(entry).stem if is_file(entry) else entry


def register_kinds(entries: Any) -> None:
    """Import a user's kinds, which may then be a `dataset.task`.

    Modules are also searched in the working directory, like those of a user's methods.

    Args:
        entries: list of names of modules, or of paths of Python files, whose folder is searched for the modules that
            they name.

    Raises:
        ConfigError: `entries` is no such list, or a module cannot be imported, has no KIND, lacks a part of it, or
            defines a name that is taken.
    """
    if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
        raise ConfigError(f"kinds={entries} is no list of modules: write kinds=[MODULE].")
    for entry in entries:
        absolute = str(Path(entry).expanduser().resolve()) if is_file(entry) else entry
        if any(absolute == defined_by for _, defined_by in _USERS.values()):
            continue  # each job of a sweep asks again
        kind = _kind_of(import_kind(absolute), absolute)
        if owner := "ftlab" if kind.name in _built_in() else entry_of(kind.name):
            raise ConfigError(f"kinds={entry} defines the task kind {kind.name}, which {owner} defines: rename it.")
        _USERS[kind.name] = (kind, absolute)


def load_part(kind: TaskKind, path: str) -> Any:
    """Return the class or function that a kind names as one of its parts.

    Raises:
        ConfigError: it cannot be imported.
    """
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (Exception, SystemExit) as error:  # of a user's module too
        raise ConfigError(
            f"the task kind {kind.name} names {path}, which cannot be imported ({reason_of(error)}): correct it."
        ) from error


def load_class(kind: TaskKind, path: str, base: type[Any]) -> Any:
    """Return the class that a kind names as one of its parts.

    Raises:
        ConfigError: it cannot be imported, is no subclass of `base`, or does not define all that a subclass must.
    """
    part = load_part(kind, path)
    if not (isinstance(part, type) and issubclass(part, base)):
        raise ConfigError(f"{path} is no {base.__name__}: make it a subclass of {base.__module__}.{base.__name__}.")
    members = {name: getattr_static(part, name) for name in dir(part)}  # not all classes of Lightning are ABCs
    if missing := [name for name, member in members.items() if getattr(member, "__isabstractmethod__", False)]:
        raise ConfigError(f"{path} does not define {', '.join(missing)}, which a {base.__name__} needs: add it.")
    return part


@cache
def _built_in() -> dict[str, TaskKind]:
    package = importlib.import_module(_BUILT_IN)
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    kinds = [importlib.import_module(f"{_BUILT_IN}.{name}").KIND for name in names]
    return {kind.name: kind for kind in kinds}


def _kind_of(module: ModuleType, entry: str) -> TaskKind:
    kind = getattr(module, "KIND", None)
    if not isinstance(kind, TaskKind):
        raise ConfigError(
            f"kinds={entry} has no KIND: set KIND = TaskKind(…) there, with ftlab.config.task_kind.TaskKind."
        )
    if kind.mixture:
        raise ConfigError(f"kinds={entry}: KIND.mixture is for ftlab's own kind: mix data sets with dataset=mixture.")
    if not kind.columns or not kind.roles.inputs:
        field = "roles.inputs" if kind.columns else "columns"
        raise ConfigError(f"kinds={entry}: KIND.{field} is empty: name at least one, as the comparison needs it.")
    settings = {setting for other in _built_in().values() for setting in other.settings}
    for setting in kind.settings:
        if setting not in settings:
            raise ConfigError(f"kinds={entry}: KIND.settings has {setting!r}: {did_you_mean(setting, settings)}.")
    if kind.rates_of not in _built_in():
        raise ConfigError(f"kinds={entry}: KIND.rates_of={kind.rates_of}: {did_you_mean(kind.rates_of, _built_in())}.")
    other_head = kind.encoder_decoder_head
    paths = {
        "data": kind.data,
        "head.module": kind.head.module,
        "encoder_decoder_head.module": other_head.module if other_head else None,
        "preview": kind.preview,
        "predict": kind.predict,
        "usage": kind.usage,
    }
    for part, path in paths.items():
        if path and (problem := problem_of(path, Path(entry).parent if is_file(entry) else None)):
            raise ConfigError(f"kinds={entry}: KIND.{part}={path} {problem}: correct it.")
    return kind
