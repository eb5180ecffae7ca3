"""The W&B workspace and report as code: the golden file, and every accessor, which W&B would drop without a word."""

import importlib.util
import json
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import wandb

from ftlab.cli.dashboard import make_dashboard
from ftlab.core.errors import UserError
from ftlab.record import read_record
from ftlab.trackers import run_fields
from tests.comparison import factory
from tests.fixtures.compose import composed
from tests.fixtures.refusals import refused

GOLDEN = Path(__file__).parents[1] / "golden" / "wandb_dashboard.json"


@pytest.fixture(scope="module")
def dashboard() -> ModuleType:
    if importlib.util.find_spec("wandb_workspaces") is None:
        pytest.skip("wandb-workspaces is not installed")
    with warnings.catch_warnings():  # wandb-workspaces 0.4 is written for Pydantic 1
        warnings.simplefilter("ignore", DeprecationWarning)
        return importlib.import_module("ftlab.trackers.wandb_dashboard")


@pytest.fixture(scope="module")
def made(dashboard: ModuleType) -> dict[str, Any]:
    return json.loads(dashboard.as_json("team", "project", "a sweep", "accuracy"))


def test_it_is_as_it_was(dashboard: ModuleType, update_golden: bool) -> None:
    text = dashboard.as_json("team", "project", "a sweep", "accuracy") + "\n"
    if update_golden:
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8"), "pytest tests/trackers/test_wandb_dashboard.py --update-golden"


def strings(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from strings(part, name)
    elif isinstance(value, list):
        for part in value:
            yield from strings(part, key)
    elif isinstance(value, str):
        yield key, value


def test_every_accessor_is_something_that_runs_log(made: dict[str, Any], tmp_path: Path) -> None:
    """A key of the configuration has W&B's `.value` after its first part; one of the summary has a prefix."""
    record = read_record(factory.add_run(tmp_path, "lora"))
    settings = {**run_fields.config_fields(composed(), record), **run_fields.setup_fields(record)}
    results = set(run_fields.results(record))
    keys = ("accessor", "groupBy", "group_by", "metrics", "x_axis", "y_axis", "column_order")
    found = {text for key, text in strings(made) if key in keys}
    configured = {re.sub(r"^config[:.]", "", text) for text in found if text.endswith(".value")}
    assert configured == {f"{key}.value" for key in (*run_fields.MAIN_SETTINGS, "trainable_share")}
    assert {key.removesuffix(".value") for key in configured} <= set(settings)
    summary = {text.split(":", 1)[1] for text in found if text.startswith("summary:")}
    summary |= {text.removeprefix("summary_metrics.") for text in found if text.startswith("summary_metrics.")}
    assert {"test/accuracy", "cost/peak_memory_bytes", "cost/train_s", "parameters/adapter_bytes"} == summary
    assert summary <= results
    history = found - {text for text in found if ":" in text or "." in text}
    assert {"train/loss", "val/loss", "val/accuracy", "trainer/global_step"} <= history
    assert {"train/lr", "train/grad_norm", "train/tokens_per_s"} <= history


def test_runs_are_picked_by_sweep_and_grouped_by_method(made: dict[str, Any]) -> None:
    (runset,) = made["workspace"]["spec"]["section"]["run_sets"]
    assert [(one["section"], one["name"]) for one in runset["grouping"]] == [("config", "method.value")]
    text = json.dumps(runset["filters"])
    assert '"a sweep"' in text
    assert '"comparison"' in text
    grids = [block for block in made["report"]["spec"]["blocks"] if block.get("type") == "panel-grid"]
    assert len(grids) == 3
    grouped = [grid["metadata"]["run_sets"][0]["grouping"] for grid in grids]
    assert [[one["name"] for one in group] for group in grouped] == [[], ["method.value"], ["method.value"]]


def test_the_charts_that_were_promised(made: dict[str, Any]) -> None:
    kinds = [text for key, text in strings(made["workspace"]) if key == "view_type"]
    assert kinds.count("Bar Chart") == 1
    assert kinds.count("Scatter Plot") == 2
    assert kinds.count("Parallel Coordinates Plot") == 1
    assert kinds.count("Run History Line Plot") == 6


def test_a_place_that_is_none_and_the_dry_run(dashboard: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with refused(UserError, "'ftlab'", "ENTITY/PROJECT"):
        make_dashboard("ftlab", None, "accuracy", dry_run=True)
    make_dashboard("team/project", None, "loss", dry_run=True)
    said = json.loads(capsys.readouterr().out)
    assert said["report"]["display_name"] == "ftlab comparison"
    assert "test/loss" in json.dumps(said)


@pytest.mark.parametrize("error", [ConnectionError("no route"), wandb.errors.CommError("no route")])
def test_without_a_network_the_remedy_is_told(
    dashboard: ModuleType, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save() -> None:
        raise error

    monkeypatch.setattr(dashboard, "workspace", lambda *_: SimpleNamespace(save=save))
    with refused(UserError, "no route", "`wandb login`", "team/project"):
        make_dashboard("team/project", None, "loss", dry_run=False)


def test_a_missing_package_is_told_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "ftlab.trackers.wandb_dashboard", raising=False)
    monkeypatch.delattr("ftlab.trackers.wandb_dashboard", raising=False)
    monkeypatch.setitem(sys.modules, "wandb_workspaces.reports.v2", None)
    with refused(UserError, "wandb_workspaces", 'pip install "ftlab[wandb-report]"'):
        make_dashboard("team/project", None, "loss", dry_run=True)


def test_help_teaches() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ftlab", "dashboard", "--help"], capture_output=True, text=True, check=True
    )
    assert "ftlab sync" in done.stdout
    assert "--dry-run" in done.stdout
    assert "ENTITY/PROJECT" in done.stdout
