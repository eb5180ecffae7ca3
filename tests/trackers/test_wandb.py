"""Contents of a W&B run, read back from the files that it writes offline."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ftlab import trackers
from ftlab.core.errors import UserError
from ftlab.trackers import run_fields
from ftlab.train.recorder import new_record
from tests.fixtures.compose import composed
from tests.fixtures.refusals import refused
from tests.trackers.made import no_warning, tracked


def test_a_run_holds_flat_keys_and_results_without_network(tmp_path: Path) -> None:
    directory = tmp_path / "sweep-1" / "run-1"
    record = tracked(composed("tracker=wandb", "tracker.tags=[mine]"), directory)
    (folder,) = (directory / "logs" / "wandb").glob("offline-run-*")
    wandb = [sys.executable, "-m", "wandb", "leet", "inspect", "--summary", "--json", str(folder)]
    seen = json.loads(subprocess.run(wandb, capture_output=True, text=True, check=True, timeout=300).stdout)
    flat = {
        "method": "lora",
        "base_model": "minilm",
        "dataset": "bbc_news",
        "task": "classification",
        "seed": 0,
        "sweep": "sweep-1",
        "global_batch_size": 16,
        "trainable_params": 3,
        "trainable_share": 0.25,
    }
    assert flat.items() <= seen["config"].items()
    assert all(not isinstance(value, dict) for key, value in seen["config"].items() if key not in ("config", "_wandb"))
    assert (seen["summary"]["test/accuracy"], seen["summary"]["train/loss"]) == (0.75, 0.5)
    assert (seen["summary"]["status"], seen["exit_code"], seen["state"]) == ("completed", 0, "finished")
    assert {"lora", "minilm", "bbc_news", "mine"} == set(seen["tags"])
    assert folder.name.endswith(run_fields.run_key(record))
    (raw,) = folder.glob("*.wandb")
    assert b"sweep-1" in raw.read_bytes()  # the group, which `leet` does not show
    (table,) = (folder / "files" / "media" / "table").glob("predictions_*.json")
    rows = json.loads(table.read_text())
    assert rows["columns"] == [
        *("task", "split", "example_id", "where", "text", "label", "prediction", "scores", "loss")
    ]
    assert rows["data"][1] == ["classification", "test", "e1", "a.csv:2", "text 1", "a", "b", "[0.1235, 0.8765]", 0.5]
    assert not list(folder.rglob("diff.patch"))  # code stays here
    assert (directory / "metrics.csv").read_text().startswith("step,test/accuracy,train/loss")


def test_a_run_keeps_its_id_and_another_of_its_name_has_another(tmp_path: Path) -> None:
    record = new_record(composed(), tmp_path / "s" / "r", [])
    again = record.model_copy(update={"status": "completed", "resumed_at": [4]})
    elsewhere = record.model_copy(update={"started_at": "2001-01-01T00:00:00+00:00"})
    assert run_fields.run_key(record) == run_fields.run_key(again) != run_fields.run_key(elsewhere)
    assert len(run_fields.run_key(record)) == 16


def test_a_long_path_makes_no_bad_tag_or_name(tmp_path: Path) -> None:
    config = composed("tracker=wandb", "model=hf", f"model.name=/{'long/' * 30}model")
    directory = tmp_path / "新 sweep:?" / "r"
    record = new_record(config, directory, [])
    directory.mkdir(parents=True)
    loggers = trackers.build_loggers(config, record, directory, no_warning)
    assert loggers[1].inner.experiment.name == "lora-model-s0"
    trackers.finish_run(loggers, record, directory)


def test_online_without_a_key_is_told_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    with refused(UserError, "tracker=wandb_online", "WANDB_API_KEY"):
        trackers.require_tracker(composed("tracker=wandb_online").tracker)
