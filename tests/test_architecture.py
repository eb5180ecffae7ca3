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

ROOT = Path(__file__).resolve().parents[1]
SRC = ROOT / "src"

# Top to bottom. A module may import from its own layer and from those below it. Every module has a place here, found by
# its longest prefix.
LAYERS: tuple[frozenset[str], ...] = tuple(
    frozenset(names.split())
    for names in (
        "ftlab.__main__ ftlab.cli ftlab.composition hydra_plugins.ftlab_launcher hydra_plugins.ftlab_optuna_sweeper",
        "ftlab.deploy ftlab.findings ftlab.job ftlab.latency ftlab.launch ftlab.planning ftlab.preparing ftlab.preview"
        " ftlab.probing ftlab.reporting ftlab.run ftlab.search ftlab.sweep",
        "ftlab.artifacts ftlab.budgets ftlab.callbacks ftlab.checkpoints ftlab.compare ftlab.data ftlab.flops"
        " ftlab.methods ftlab.models ftlab.optim ftlab.robustness ftlab.room ftlab.sharded ftlab.tasks"
        " ftlab.trackers ftlab.trainer",
        "ftlab ftlab.assets ftlab.environment ftlab.errors ftlab.fingerprint ftlab.groups ftlab.losses ftlab.mixing"
        " ftlab.paths ftlab.record ftlab.recorder ftlab.schema ftlab.stopping ftlab.tasks.spec ftlab.template_file",
    )
)

# What takes seconds to import. Reading records and answering --help must do without.
HEAVY = frozenset({"bitsandbytes", "datasets", "lightning", "peft", "torch", "torchmetrics", "transformers"})
LIGHT = ("ftlab.cli", "ftlab.compare", "ftlab.errors", "ftlab.record", "ftlab.schema", "ftlab.tasks.spec")

# Dependencies that no module of ours names -> who loads them.
UNNAMED = {
    "accelerate": "Transformers, for quantised weights",
    "gguf": "Transformers, for GGUF files",
    "tensorboard": "Lightning's TensorBoardLogger",
}

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
    """Return every module below src, each file read and parsed once."""
    paths = {_module_name(path): path for path in sorted(SRC.rglob("*.py"))}
    trees = {name: ast.parse(path.read_text(encoding="utf-8"), filename=str(path)) for name, path in paths.items()}
    return {
        name: Module(*(_imports(name, path, trees[name], set(paths), only_at_import=only) for only in (False, True)))
        for name, path in paths.items()
    }


def _members(prefix: str) -> list[str]:
    members = [name for name in modules() if _under(name, prefix)]
    assert members, f"there is no {prefix}"
    return members


def _under(module: str, prefix: str) -> bool:
    return module == prefix or module.startswith(f"{prefix}.")


def _layer(module: str) -> int | None:
    """Index of the layer that holds `module`; None where no prefix but the bare package fits."""
    places = [(len(prefix), i) for i, layer in enumerate(LAYERS) for prefix in layer if _under(module, prefix)]
    longest, index = max(places, default=(0, None))
    return None if longest == len("ftlab") and module != "ftlab" else index


def test_there_are_modules_to_judge() -> None:
    assert {"ftlab", "ftlab.record", "ftlab.schema", "ftlab.tasks.spec"} <= set(modules())
    assert sum(len(module.imports) for module in modules().values()) > len(modules())


def test_every_module_has_a_layer_and_imports_point_down() -> None:
    homeless = [name for name in modules() if _layer(name) is None]
    assert not homeless, "they stand in no layer: give them a place in LAYERS above"
    upward = [
        f"{name} → {other}"
        for name, module in modules().items()
        for other in module.imports & modules().keys()
        if (_layer(other) or 0) < (_layer(name) or 0)
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
    allowed = ("ftlab.compare", "ftlab.record", "ftlab.errors")
    wrong = [
        f"{name} → {other}"
        for name in _members("ftlab.compare")
        for other in modules()[name].imports & modules().keys()
        if not any(_under(other, prefix) for prefix in allowed)
    ]
    assert not wrong


def test_light_modules_load_nothing_heavy() -> None:
    wrong = [
        f"{name} → {other}"
        for prefix in LIGHT
        for name in _members(prefix)
        for other in modules()[name].at_import
        if other.split(".")[0] in HEAVY
    ]
    assert not wrong
    script = f"import sys, {', '.join(_members('ftlab.compare'))}; print(*({set(HEAVY)!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


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
