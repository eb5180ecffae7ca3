"""Speedups: each has a switch, and nothing but the list in the package knows one of them."""

import ast
from pathlib import Path

import pytest

from ftlab.train import run as run_module
from ftlab.train import speedups
from ftlab.train.speedups import Speedup, TrainingSetup
from tests.fixtures.source_trees import ROOT, source_trees
from tests.train.callback_runs import run_tiny

FOLDER = "src/ftlab/train/speedups"
SWITCHES = {
    "frozen_prefix_cache": "speed.frozen_layers=off",
    "cls_only_last_block": "speed.last_block=all",
    "quick_dropout": "speed.dropout=torch",
}


def test_nothing_outside_their_folder_names_a_speedup() -> None:
    """So that one can be deleted with its file, its line in the package, its switch and its tests."""
    modules = {path.stem for path in (ROOT / FOLDER).glob("[!_]*.py")}
    assert set(SWITCHES) < modules
    assert {builder.__module__.rpartition(".")[2] for builder in speedups._BUILDERS} == set(SWITCHES)
    named = [
        f"{path.relative_to(ROOT)} names {name}"
        for path, tree in source_trees("src").items()
        if ROOT / FOLDER not in path.parents
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ftlab.train.speedups")
        for name in [
            node.module.removeprefix("ftlab.train.speedups").lstrip("."),
            *(alias.name for alias in node.names),
        ]
        if name in modules
    ]
    assert not named


@pytest.mark.parametrize("switched_off", [None, *SWITCHES])
def test_each_is_off_by_its_switch_alone(
    switched_off: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a run whose frozen layers are cached, whose last block trains, and whose head reads the first token."""
    seen: dict[str, list[str]] = {}

    def noting(setup: TrainingSetup) -> list[Speedup]:
        built = speedups.build_speedups(setup)
        seen["names"] = [
            builder.__module__.rpartition(".")[2] for builder in speedups._BUILDERS if builder(setup, []) is not None
        ]
        assert len(built) == len(seen["names"])
        return built

    monkeypatch.setattr(run_module, "build_speedups", noting)
    overrides = ["speed.last_block=auto", *([SWITCHES[switched_off]] if switched_off else [])]
    record = run_tiny("bert", "partial", tmp_path, "method.layers=1", *overrides)
    assert record.status == "completed"
    assert seen["names"] == [name for name in SWITCHES if name != switched_off]
