"""Speedups: each has a switch, and nothing but the list in the package knows one of them."""

import ast
from pathlib import Path

import pytest

from ftlab.train import run as run_module
from ftlab.train import speedups
from ftlab.train.speedups import ReadyTraining, Speedup
from tests.fixtures.source_trees import ROOT, source_trees
from tests.train.callback_runs import run_tiny

FOLDER = ROOT / "src" / "ftlab" / "train" / "speedups"
SWITCHES = {
    "frozen_prefix_cache": "speed.frozen_layers=off",
    "cls_only_last_block": "speed.last_block=all",
    "quick_dropout": "speed.dropout=torch",
}


def test_a_speedup_is_named_in_the_list_alone() -> None:
    """So that one can be deleted with its module, its entry in the list, its switch and its tests."""
    assert [builder.__module__.rpartition(".")[2] for builder in speedups._BUILDERS] == list(SWITCHES)
    shared = {path.stem for path in FOLDER.glob("[!_]*.py")} - {*SWITCHES}
    assert {"speedup", "patched_forward"} <= shared
    assert not [name for name in shared if "def build(" in (FOLDER / f"{name}.py").read_text()], "not in the list"
    naming = {
        str(path.relative_to(ROOT / "src" / "ftlab")): name
        for path, tree in source_trees("src").items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ftlab.train.speedups")
        for name in [str(node.module).rpartition(".")[2], *(alias.name for alias in node.names)]
        if name in SWITCHES or (name in shared and FOLDER not in path.parents)
    }
    assert set(naming) == {"train/speedups/__init__.py"}


@pytest.mark.parametrize("switched_off", [None, *SWITCHES])
def test_each_is_off_by_its_switch_alone(
    switched_off: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a run whose frozen layers are cached, whose last block trains, and whose head reads the first token."""
    seen: dict[str, list[str]] = {}

    def noting(training: ReadyTraining) -> list[Speedup]:
        built = speedups.build_speedups(training)
        seen["names"] = [
            builder.__module__.rpartition(".")[2] for builder in speedups._BUILDERS if builder(training, []) is not None
        ]
        assert len(built) == len(seen["names"])
        return built

    monkeypatch.setattr(run_module, "build_speedups", noting)
    overrides = ["speed.last_block=auto", *([SWITCHES[switched_off]] if switched_off else [])]
    record = run_tiny("bert", "partial", tmp_path, "method.layers=1", *overrides)
    assert record.status == "completed"
    assert seen["names"] == [name for name in SWITCHES if name != switched_off]


def test_a_block_that_no_longer_runs_is_not_shortened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It would be spared twice in the cost."""
    auto = "speed.last_block=auto"
    record = run_tiny("bert", "head", tmp_path / "cached", auto)
    assert "last block" not in capsys.readouterr().out
    assert 0 < record.cost.spared_flops < record.cost.training_flops
    run_tiny("bert", "head", tmp_path / "uncached", auto, "speed.frozen_layers=off")
    assert "last block" in capsys.readouterr().out
