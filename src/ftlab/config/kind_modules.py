"""Import of modules with a user's task kinds, and checks of the parts that they name, without running these."""

import ast
import importlib
import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from traceback import extract_tb
from types import ModuleType

from pydantic import ValidationError

from ftlab.core.errors import ConfigError, did_you_mean, reason

_OURS, _STDLIB = f"{Path(__file__).parents[1]}{os.sep}", f"{Path(ast.__file__).parent}{os.sep}"


def is_file(entry: str) -> bool:
    """Return whether an entry of `kinds` is the path of a Python file; otherwise it is the name of a module."""
    return entry.endswith(".py")


def kind_files(folder: Path) -> list[str]:
    """Return the Python files in a folder that define a KIND, without running them."""
    return [str(path) for path in sorted(folder.glob("[!.]*.py")) if _assigns_kind(path)]  # no files of editors


def import_kind(entry: str) -> ModuleType:
    """Import the module of an entry of `kinds`; modules are also searched in the working directory.

    Raises:
        ConfigError: it cannot be imported, or another module hides it.
    """
    path = Path(entry) if is_file(entry) else None
    folder, name = (str(path.parent), path.stem) if path else (os.getcwd(), entry)
    if path and not path.is_file():
        raise ConfigError(f"kinds={entry} does not exist: correct its path, with --kinds for a finished run.")
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        module = importlib.import_module(name)
    except (Exception, SystemExit) as error:  # the user's own code
        raise ConfigError(f"kinds={entry} cannot be imported ({reason_of(error)}): correct it.") from error
    if path and Path(str(module.__file__)).resolve() != path:
        raise ConfigError(f"kinds={entry} is hidden by another module called {name}, {module.__file__}: rename it.")
    return module


def problem_of(part: str, folder: Path | None) -> str | None:
    """Return why a part cannot be loaded, as far as this shows without running its module; None if it does not show.

    Args:
        part: import path of a class or function.
        folder: the folder of the file that names it, which is searched last; None: a module names it.
    """
    module, _, name = part.rpartition(".")
    try:
        spec = find_spec(module)
    except (Exception, SystemExit) as error:  # the packages above the module are run
        return f"cannot be imported ({reason_of(error)})"
    if spec is None:
        return "names no module that can be imported"
    top = part.partition(".")[0]
    origin = Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None
    beside = folder if folder and ((folder / f"{top}.py").exists() or (folder / top).is_dir()) else None
    if beside and (origin is None or not origin.resolve().is_relative_to(beside)):
        return f"is hidden by another module called {top}, {spec.origin}"
    if origin and not {name, "*", "__getattr__"} & (names := _top_level_names(origin)):
        return f"is not in that module: {did_you_mean(name, names)}"
    return None


def reason_of(error: BaseException) -> str:
    """Return what went wrong in a user's module and where, without line ends."""
    if isinstance(error, ValidationError):  # a KIND, Head or Roles with wrong fields
        problems = error.errors()
        missing = [str(problem["loc"][0]) for problem in problems if problem["type"] == "missing"]
        if missing:
            return f"{error.title} lacks {', '.join(missing)}"
        return f"{error.title}.{'.'.join(map(str, problems[0]['loc']))}: {problems[0]['msg']}"
    frames = [
        frame for frame in extract_tb(error.__traceback__) if not frame.filename.startswith(("<", _OURS, _STDLIB))
    ]
    where = f", {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return reason(error, with_class=True) + where


def _assigns_kind(path: Path) -> bool:
    return any(name == "KIND" for name, imported in _bindings(path) if not imported)


def _top_level_names(path: Path) -> set[str]:
    return {name for name, _ in _bindings(path)}


def _bindings(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield the names that a Python file binds at its top level, and whether each is imported; the file is not run."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError) as error:
        problem = reason(error, named=path)
        raise ConfigError(f"{path} cannot be read as Python ({problem}): correct it, or move it.") from None
    blocks: list[ast.AST] = [tree]
    while blocks:
        for node in ast.iter_child_nodes(blocks.pop()):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield node.name, False
            elif isinstance(node, ast.Import | ast.ImportFrom):
                yield from ((alias.asname or alias.name, True) for alias in node.names)
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                leaves = (leaf for target in targets for leaf in ast.walk(target))
                yield from ((leaf.id, False) for leaf in leaves if isinstance(leaf, ast.Name))
            elif isinstance(node, ast.If | ast.Try | ast.With | ast.ExceptHandler):
                blocks.append(node)
