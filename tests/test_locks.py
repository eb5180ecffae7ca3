"""The two lock files: the smaller one is a part of the larger, with what running ftlab needs and no more."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def pins(name: str) -> dict[str, str]:
    """Return line -> distribution; some distributions have a line for each version of Python."""
    lines = [line for line in (ROOT / name).read_text(encoding="utf-8").splitlines() if line and line[0] not in "# "]
    return {line: re.split(r"[=\s;]", line, maxsplit=1)[0] for line in lines}


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^\w.-]", requirement, maxsplit=1)[0].lower() for requirement in requirements}


def test_what_runs_is_installed_in_the_versions_that_are_tested() -> None:
    runtime, everything = pins("requirements.lock"), pins("requirements-dev.lock")
    assert 100 < len(runtime) < len(everything)
    assert set(runtime) <= set(everything), "make lock"


def test_what_only_extras_and_tests_need_is_left_out() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    dependencies, extras = project["project"]["dependencies"], project["project"]["optional-dependencies"]
    runtime = set(pins("requirements.lock").values())
    assert names(dependencies) | names(project["dependency-groups"]["build"]) <= runtime, "make lock"
    optional = names([line for lines in extras.values() for line in lines]) - {"ftlab", "hatchling", "editables"}
    assert {"ray", "mlflow-skinny", "optuna", "mypy", "pre-commit", "pytest", "matplotlib"} <= optional
    assert not optional & runtime
    assert optional <= set(pins("requirements-dev.lock").values())
