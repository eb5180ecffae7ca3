"""The house rules that a reader of one change cannot see: who may import whom, and what no module may become."""

import ast
import re
import subprocess
import sys
import tomllib
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


MODULES = {_module_name(path): path for path in sorted(SRC.rglob("*.py"))}
HAND_WRITTEN = sorted(
    [*SRC.rglob("*.py"), *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py"), *ROOT.glob("*.py")]
)


def _under(module: str, prefix: str) -> bool:
    return module == prefix or module.startswith(f"{prefix}.")


def _layer(module: str) -> int | None:
    """Index of the layer that holds `module`; None where no prefix but the bare package fits."""
    places = [(len(prefix), i) for i, layer in enumerate(LAYERS) for prefix in layer if _under(module, prefix)]
    longest, index = max(places, default=(0, None))
    return None if longest == len("ftlab") and module != "ftlab" else index


def _imports(module: str, *, only_at_import: bool = False) -> set[str]:
    """Names of the modules that `module` imports, ours in full; lazy imports in functions count unless told not to."""
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    nodes: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"), filename=str(path))]
    found: set[str] = set()
    while nodes:
        node = nodes.pop()
        if only_at_import and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        nodes.extend(ast.iter_child_nodes(node))
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names = {f"{base}.{alias.name}" for alias in node.names}
            found.update(name if name in MODULES else base for name in names)
    return found - {module}


def test_there_are_modules_to_judge() -> None:
    assert {"ftlab", "ftlab.record", "ftlab.schema", "ftlab.tasks.spec"} <= set(MODULES)
    assert sum(len(_imports(module)) for module in MODULES) > len(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_a_layer(module: str) -> None:
    assert _layer(module) is not None, f"{module} stands in no layer: give it a place in LAYERS above"


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module: str) -> None:
    own = _layer(module)
    assert own is not None
    upward = sorted(name for name in _imports(module) if name in MODULES and (_layer(name) or 0) < own)
    assert not upward, f"{module} (layer {own}) imports from above: {', '.join(upward)}"


def test_no_import_cycles() -> None:
    graph = {module: {name for name in _imports(module) if name in MODULES} for module in MODULES}
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"modules import each other: {' → '.join(error.args[1])}")
    assert len(order) == len(MODULES)


def test_compare_knows_records_only() -> None:
    members = [module for module in MODULES if _under(module, "ftlab.compare")]
    assert members
    allowed = ("ftlab.compare", "ftlab.record", "ftlab.errors")
    wrong = {
        f"{module} → {name}"
        for module in members
        for name in _imports(module)
        if name in MODULES and not any(_under(name, prefix) for prefix in allowed)
    }
    assert not wrong


@pytest.mark.parametrize("prefix", LIGHT)
def test_light_modules_name_nothing_heavy(prefix: str) -> None:
    members = [module for module in MODULES if _under(module, prefix)]
    assert members, f"{prefix} is listed as light and does not exist"
    wrong = {
        f"{module} → {name}"
        for module in members
        for name in _imports(module, only_at_import=True)
        if name.split(".")[0] in HEAVY
    }
    assert not wrong


def test_compare_loads_nothing_heavy() -> None:
    members = sorted(module for module in MODULES if _under(module, "ftlab.compare"))
    assert members
    script = f"import sys, {', '.join(members)}; print(*({set(HEAVY)!r} & sys.modules.keys()))"
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
    roots = {name.split(".")[0] for module in MODULES for name in _imports(module)} - {"ftlab", "hydra_plugins"}
    imported = {root: set(map(_distribution, providers[root])) for root in roots - sys.stdlib_module_names}
    undeclared = sorted(root for root, names in imported.items() if not names & (core | optional))
    assert not undeclared, f"imported, and not in pyproject.toml: {', '.join(undeclared)}"
    unused = core - set().union(*imported.values())
    assert unused == set(UNNAMED), "in pyproject.toml, and imported nowhere (or named in UNNAMED without need)"


def _distribution(requirement: str) -> str:
    """Normalised name of the distribution that a requirement asks for."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", requirement, maxsplit=1)[0]).lower()


def test_hydra_plugins_stays_a_namespace() -> None:
    assert (SRC / "hydra_plugins").is_dir()
    assert not (SRC / "hydra_plugins" / "__init__.py").exists(), "with it, Hydra's other plugins vanish"


@pytest.mark.parametrize("path", HAND_WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_module_is_one_room(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    assert path.stem not in CATCH_ALL, f"{name}: give each function a home of its own"
    lines = len(path.read_text(encoding="utf-8").splitlines())
    if name in LONG:
        assert lines > MOST_LINES, f"{name} has {lines} lines: take it off LONG"
    else:
        assert lines <= MOST_LINES, f"{name} has {lines} lines: split it, or give a reason in LONG"


def test_long_modules_exist() -> None:
    assert not [name for name in LONG if not (ROOT / name).is_file()]
