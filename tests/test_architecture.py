"""The house rules that a reader of one change cannot see: who may import whom, and what no module may become."""

import ast
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.fixtures.source_trees import ROOT, source_trees

SRC = ROOT / "src"

# Bottom to top, one line per package: a module imports from its own package and from those above its line. It belongs
# to the package with the longest name that fits. As the order is total, no two packages can import one another.
PACKAGES = (
    "ftlab.core",
    "ftlab.record",
    "ftlab.config",
    "ftlab.kinds",
    "ftlab.comparison.stats",
    "ftlab.comparison",
    "ftlab.comparison.render",
    "ftlab.importers",
    "ftlab.trackers",
    "ftlab.models",
    "ftlab.data.rows",
    "ftlab.data.sources",
    "ftlab.data.encoding",
    "ftlab.data.prompting",
    "ftlab.data.loading",
    "ftlab.data",
    "ftlab.methods",
    "ftlab.tasks",
    "ftlab.evaluation",
    "ftlab.preview",
    "ftlab.inference",
    "ftlab.train.callbacks",
    "ftlab.train.speedups",
    "ftlab.train",
    "ftlab.launch",
    "ftlab.sweeps",
    "ftlab.cli",
    "ftlab.api",
    "ftlab",  # __main__, and the public face
    "hydra_plugins",
)

# What takes seconds to import. Reading records and answering --help must do without.
HEAVY = frozenset({"bitsandbytes", "datasets", "lightning", "peft", "torch", "torchmetrics", "transformers"})
LIGHT = (
    *("ftlab.api", "ftlab.cli", "ftlab.comparison", "ftlab.config", "ftlab.importers", "ftlab.kinds"),
    *("ftlab.core.atomic", "ftlab.core.errors", "ftlab.inference.predictions", "ftlab.record"),
)

# Dependencies that no module of ours names -> who loads them.
UNNAMED = {
    "accelerate": "Transformers, for quantised weights",
    "gguf": "Transformers, for GGUF files",
}

# What writes a file in a way that core.atomic does better.
RENAMES_OR_SYNCS = frozenset(
    {
        *(("os", name) for name in ("fdatasync", "fsync", "rename", "renames", "replace")),
        ("shutil", "move"),
    }
)

CATCH_ALL = frozenset({"common", "helper", "helpers", "misc", "util", "utils"})
MOST_LINES = 300
LONG: dict[str, str] = {}  # path from the root -> why it is one room all the same


def _module_name(path: Path) -> str:
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@dataclass(frozen=True)
class Module:
    """A module of ours: what it imports, ours in full; `at_import` leaves out what functions import when called."""

    imports: frozenset[str]
    at_import: frozenset[str]


def _imports(name: str, path: Path, tree: ast.Module, ours: set[str], *, only_at_import: bool) -> frozenset[str]:
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    nodes: list[ast.AST] = [tree]
    imported: set[str] = set()
    while nodes:
        node = nodes.pop()
        if only_at_import and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        nodes.extend(ast.iter_child_nodes(node))
        if isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names = {f"{base}.{alias.name}" for alias in node.names}
            imported.update(full if full in ours else base for full in names)
    return frozenset(imported - {name})


@cache
def modules() -> dict[str, Module]:
    """Return every module below src."""
    trees = source_trees("src")
    names = {path: _module_name(path) for path in trees}
    ours = set(names.values())
    return {
        name: Module(*(_imports(name, path, trees[path], ours, only_at_import=only) for only in (False, True)))
        for path, name in names.items()
    }


def _members(prefix: str) -> list[str]:
    members = [name for name in modules() if _under(name, prefix)]
    assert members, f"there is no {prefix}"
    return members


def _under(module: str, prefix: str) -> bool:
    return module == prefix or module.startswith(f"{prefix}.")


def _package(module: str) -> str | None:
    """Return the package of PACKAGES that holds a module; None where there is none."""
    return max((name for name in PACKAGES if _under(module, name)), key=len, default=None)


def test_there_are_modules_to_judge() -> None:
    assert {"ftlab", "ftlab.record", "ftlab.config.task", "ftlab.train.run"} <= set(modules())
    assert sum(len(module.imports) for module in modules().values()) > len(modules())


def test_every_module_lies_in_a_package() -> None:
    loose = [
        name for name in modules() if _package(name) in (None, "ftlab") and name not in ("ftlab", "ftlab.__main__")
    ]
    assert not loose, "put them into a package, or a new package into PACKAGES above"
    empty = [name for name in PACKAGES if not any(_package(module) == name for module in modules())]
    assert not empty, "take them off PACKAGES"


def test_packages_import_downwards_only() -> None:
    floor = {name: number for number, name in enumerate(PACKAGES)}
    upward = [
        f"{name} → {other}"
        for name, module in modules().items()
        for other in module.imports & modules().keys()
        if floor[str(_package(other))] > floor[str(_package(name))]
    ]
    assert not upward


def test_no_import_cycles() -> None:
    graph = {name: module.imports & modules().keys() for name, module in modules().items()}
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"modules import each other: {' → '.join(error.args[1])}")
    assert len(order) == len(modules())


def test_compare_knows_records_only() -> None:
    core = [f"ftlab.core.{name}" for name in ("atomic", "errors", "escapes", "shorten")]
    wrong = [
        f"{name} → {other}"
        for name in _members("ftlab.comparison")
        for other in modules()[name].imports & modules().keys()
        if not any(_under(other, prefix) for prefix in ("ftlab.comparison", "ftlab.record", *core))
    ]
    assert not wrong


def test_no_module_asks_for_the_name_of_a_task_kind() -> None:
    names = {path.stem for path in (SRC / "ftlab" / "kinds").glob("[!_]*.py")} - {"text"}  # a common word too
    assert len(names) >= 8
    asking = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, tree in source_trees("src").items()
        if _package(_module_name(path)) != "ftlab.kinds"
        and _module_name(path) != "ftlab.record.parts"  # of old records
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare | ast.match_case | ast.Dict)
        for asked in (node.keys if isinstance(node, ast.Dict) else [node])
        if asked and any(isinstance(leaf, ast.Constant) and leaf.value in names for leaf in ast.walk(asked))
    ]
    assert not asking, "ask the kind: a user's own kind has another name"


def test_files_are_replaced_in_one_place() -> None:
    by_hand = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}"
        for path, tree in source_trees("src").items()
        if _module_name(path) not in ("ftlab.core.atomic", "ftlab.record.removal")  # which renames to delete
        for node in ast.walk(tree)
        if _renames_or_syncs(node)
    ]
    assert not by_hand, "use ftlab.core.atomic: it syncs, cleans up after errors and kills, and bears two writers"
    ours = SRC / "ftlab" / "core" / "atomic.py"
    assert sum(map(_renames_or_syncs, ast.walk(source_trees("src")[ours]))) >= 4, "the rule knows none of its calls"


def _renames_or_syncs(node: ast.AST) -> bool:
    """Return whether a node is os.replace, os.rename, os.fsync or shutil.move, or replaces or renames a path."""
    if isinstance(node, ast.ImportFrom):
        return any((node.module, alias.name) in RENAMES_OR_SYNCS for alias in node.names)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return (node.value.id, node.attr) in RENAMES_OR_SYNCS
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("rename", "replace")
        # a text's has two arguments; those of tables and dates name others
        and (len(node.args), [keyword.arg for keyword in node.keywords]) in ((1, []), (0, ["target"]))
    )


def test_light_modules_load_nothing_heavy() -> None:
    wrong = [
        f"{name} → {other}"
        for prefix in LIGHT
        for name in _members(prefix)
        for other in modules()[name].at_import
        if other.split(".")[0] in HEAVY
    ]
    assert not wrong
    script = f"import sys, {', '.join(_members('ftlab.comparison'))}; print(*({set(HEAVY)!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_nothing_of_hydras_inner_parts_is_imported() -> None:
    assert any(_under(other, "hydra") for module in modules().values() for other in module.imports)
    inner = [
        f"{name} → {other}"
        for name, module in modules().items()
        for other in module.imports
        if "._internal" in other and _under(other, "hydra")
    ]
    assert not inner, "a public way exists: see ftlab.cli.hydra_command"


def test_declared_dependencies_are_the_imported_ones() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [
        line
        for name, lines in project["optional-dependencies"].items()
        if name not in ("test", "dev")
        for line in lines
    ]
    core, optional = ({_distribution(line) for line in lines} for lines in (project["dependencies"], extras))
    assert core
    assert optional
    providers = packages_distributions()
    roots = {name.split(".")[0] for module in modules().values() for name in module.imports} - {
        "ftlab",
        "hydra_plugins",
    }
    imported = {root: set(map(_distribution, providers[root])) for root in roots - sys.stdlib_module_names}
    undeclared = sorted(root for root, names in imported.items() if not names & (core | optional))
    assert not undeclared, "imported, and not in pyproject.toml"
    unused = core - set().union(*imported.values())
    assert unused == set(UNNAMED), "in pyproject.toml, and imported nowhere (or named in UNNAMED without need)"


def _distribution(requirement: str) -> str:
    """Normalised name of the distribution that a requirement asks for."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", requirement, maxsplit=1)[0]).lower()


def test_hydra_plugins_stays_a_namespace() -> None:
    assert (SRC / "hydra_plugins").is_dir()
    assert not (SRC / "hydra_plugins" / "__init__.py").exists(), "with it, Hydra's other plugins vanish"


def test_every_module_is_one_room() -> None:
    written = [
        *SRC.rglob("*.py"),
        *(ROOT / "tests").rglob("*.py"),
        *(ROOT / "benchmarks").rglob("*.py"),
        *ROOT.glob("*.py"),
    ]
    lines = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in written}
    assert len(lines) > len(modules())
    catch_all = [name for name in lines if Path(name).stem in CATCH_ALL]
    assert not catch_all, "give each function a home of its own"
    too_long = {name: count for name, count in lines.items() if count > MOST_LINES and name not in LONG}
    assert not too_long, "split them, or give a reason in LONG"
    assert not [name for name in LONG if lines.get(name, 0) <= MOST_LINES], "take them off LONG"
