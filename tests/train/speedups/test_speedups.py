"""Speedups: each has a switch, and nothing but the list in the package knows one of them."""

import ast
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from ftlab.core.batch import model_inputs
from ftlab.models.devices import Devices
from ftlab.train import run as run_module
from ftlab.train import speedups
from ftlab.train.speedups import ReadyTraining, Speedup, cls_only_last_block, quick_dropout
from tests.fixtures.compose import composed
from tests.fixtures.source_trees import ROOT, source_trees
from tests.train.callback_runs import run_tiny
from tests.training import batch_for, config_for, module_for, task_for_model, task_named

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


def test_what_speedups_spare_is_added_up(tmp_path: Path) -> None:
    settings = {"both": (), "cache": (SWITCHES["cls_only_last_block"],), "block": (SWITCHES["frozen_prefix_cache"],)}
    spared = {
        name: run_tiny(
            "bert", "partial", tmp_path / name, "method.layers=1", "speed.last_block=auto", *overrides
        ).cost.spared_flops
        for name, overrides in settings.items()
    }
    assert min(spared.values()) > 0
    assert spared["both"] == spared["cache"] + spared["block"]


def test_dropout_of_a_gpu_is_left_to_torch() -> None:
    training: Any = SimpleNamespace(
        config=composed(), devices=Devices(accelerator="gpu"), module=SimpleNamespace(trainable=["weight"])
    )
    assert quick_dropout.build(training, []) is None
    training.devices = Devices()
    assert quick_dropout.build(training, []) is not None


def test_a_block_whose_head_reads_more_than_the_first_token_stays_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_for("full", "bert")
    task = task_for_model(config, task_named("classification"))
    training: Any = SimpleNamespace(
        config=config,
        module=module_for(config, task, steps=1),
        datamodule=None,
        half_padded_batch=lambda: model_inputs(batch_for(task)),
        log=lambda line: None,
    )
    assert cls_only_last_block.build(training, []) is not None
    monkeypatch.setattr(
        type(training.module.method), "forward", lambda self, model, batch: _mean_of_tokens(model, batch)
    )
    assert cls_only_last_block.build(training, []) is None


def _mean_of_tokens(model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    mean: torch.Tensor = model.base_model(**batch).last_hidden_state.mean(1)
    return mean
