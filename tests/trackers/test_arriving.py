"""Uploads to W&B, received by a stand-in on the loopback: a sweep online, one uploaded later, a dashboard."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from ftlab.comparison import compare
from ftlab.sweeps.report import publish_comparison, report_comparison
from ftlab.trackers import run_fields, wandb_sync
from tests.fixtures.compose import composed
from tests.fixtures.statements import states
from tests.launch.sweeping import make_place
from tests.trackers.made import tracked
from tests.trackers.standin import ENTITY, KEY, StandIn, environment, standin

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


def command(state: StandIn, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, with W&B where the stand-in is."""
    (folder / "home").mkdir(exist_ok=True)
    inherited = {name: value for name, value in os.environ.items() if name not in ("WANDB_MODE", "WANDB_SILENT")}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**inherited, **environment(state, str(folder / "home")), "COLUMNS": "160"},
        capture_output=True,
        text=True,
        timeout=600,
    )


def test_a_sweep_arrives_and_leaves_no_secret(tmp_path: Path) -> None:
    settings = [one for one in make_place(tmp_path) if not one.startswith("tracker")]
    with standin() as state:
        done = command(
            state,
            tmp_path,
            *(str(ROOT / "train.py"), "-m", *settings, "tracker=wandb_online", "method=lora,full", "hardware=cpu"),
            *("hardware.threads=1", "sweep.name=arriving"),
        )
        assert done.returncode == 0, done.stderr
        assert "tracker=wandb" not in done.stdout  # no warning that it failed
        assert state.keys == {KEY}
    assert {run.fields["displayName"] for run in state.runs.values()} == {
        "lora-tiny-s0",
        "full-tiny-s0",
        "comparison-arriving",
    }
    assert {run.fields["group"] for run in state.runs.values()} == {"arriving"}
    for method in ("lora", "full"):
        run = state.named(f"{method}-tiny-s0")
        assert (run.fields["jobType"], run.exit_code, run.complete) == (method, 0, True)
        assert run.config["method"] == method
        assert 0 < run.config["trainable_share"] <= 1
        assert run.config["config"]["dataset"]["name"] == "rows"
        assert run.summary["status"] == "completed"
        assert 0 <= run.summary["test/accuracy"] <= 1
        assert run.summary["cost/train_s"] > 0
        assert run.summary["predictions"]["_type"] == "table-file"
        curve = [row for row in run.history if "train/loss" in row]
        assert curve
        assert all("trainer/global_step" in row for row in curve)
    comparison = state.named("comparison-arriving")
    assert comparison.fields["jobType"] == "comparison"
    assert (comparison.summary["runs"], comparison.summary["completed"]) == (2, 2)
    (artifact,) = (one for one in artifacts(state) if one.startswith("comparison"))
    files = {name.partition("/")[2] for name in state.files if name.startswith("artifact")}
    assert artifact == "comparison-arriving"
    assert {"comparison.md", "comparison.csv", "report.html", "comparison.table.json"} <= files
    assert sum(name.startswith("records/") for name in files) == 2
    (table,) = (body for name, body in state.files.items() if name.endswith("/comparison.table.json"))
    assert {row[2] for row in json.loads(table)["data"]} == {"lora", "full"}
    left = [path for path in (tmp_path / "outputs").rglob("*") if path.is_file()]
    assert len(left) > 10
    assert not [path for path in left if KEY.encode() in path.read_bytes()]


def artifacts(state: StandIn) -> set[str]:
    """Return the names of the artifacts that arrived."""
    names = set[str]()
    for one in state.artifacts:
        fields = one.get("input", one)
        names.add(fields.get("artifactCollectionName") or fields["artifactCollectionNames"][0])
    return names


def test_what_was_offline_arrives_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "home"))
    directory = tmp_path / "outputs" / "later"
    records = {}
    for method in ("lora", "full"):
        config = composed("tracker=wandb", f"method={method}", "tracker.project=mine")
        records[method] = tracked(config, directory / method)
    comparison = compare([directory])
    paths = report_comparison(comparison, directory, Console(quiet=True))
    publish_comparison([config], comparison, paths, directory, Console())
    with standin() as state:
        state.refused = {run_fields.run_key(records["full"])}
        first = command(state, tmp_path, "-m", "ftlab", "sync", "outputs/later")
        assert first.returncode == 1, first.stdout + first.stderr
        states(first.stdout, "3 offline runs", "outputs/later", state.url, "project mine: 3")
        states(first.stdout, "FAILED: outputs/later/full", f"outputs/later/lora {state.url}/{ENTITY}/mine/runs/")
        states(first.stderr, "1 of 3")
        state.refused.clear()
        second = command(state, tmp_path, "-m", "ftlab", "sync")
        assert second.returncode == 0, second.stdout + second.stderr
        states(second.stdout, "2 uploaded")
        arrived = {name: len(run.history) for name, run in state.runs.items()}
        third = command(state, tmp_path, "-m", "ftlab", "sync")
        assert third.returncode == 0, third.stdout + third.stderr
        assert {name: len(run.history) for name, run in state.runs.items()} == arrived  # nothing was left to upload
    assert all(run.uploaded for run in wandb_sync.find_offline_runs(directory))
    for method, record in records.items():
        run = state.runs[run_fields.run_key(record)]
        assert (run.config["method"], run.fields["group"], run.exit_code) == (method, "later", 0)
        assert run.summary["test/accuracy"] == 0.75
        assert [row["train/loss"] for row in run.history if "train/loss" in row] == [0.5]
    assert "comparison-later" in artifacts(state)


def test_the_dashboard_arrives(tmp_path: Path) -> None:
    with standin() as state:
        options = (f"{ENTITY}/ftlab", "--sweep", "later", "--metric", "macro_f1")
        done = command(state, tmp_path, "-m", "ftlab", "dashboard", *options)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count(state.url) == 2
    views = {view["type"]: view for view in state.views}
    assert set(views) == {"project-view", "runs"}
    for view in views.values():
        assert (view["entityName"], view["projectName"]) == (ENTITY, "ftlab")
        assert view["displayName"] == "ftlab comparison: later"
        assert "test/macro_f1" in view["spec"]
