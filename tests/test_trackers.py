"""What the trackers get, read back from the files that they wrote."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ftlab import trackers
from ftlab.errors import UserError
from ftlab.record import Metric, Parameters
from ftlab.recorder import first_record
from tests.configs import composed


def test_a_wandb_run_holds_flat_keys_and_results_without_network(tmp_path: Path) -> None:
    config = composed("tracker=wandb", "tracker.tags=[mine]")
    directory = tmp_path / "sweep-1" / "run-1"
    record = first_record(config, directory, [])
    loggers = trackers.build(config, record, directory)
    for logger in loggers:
        logger.log_metrics({"train/loss": 0.5}, step=1)
    done = record.model_copy(
        update={
            "status": "completed",
            "metrics": {"classification": {"test": {"accuracy": Metric(value=0.75, n=4)}}},
            "parameters": Parameters(trainable=3, total=9),
        }
    )
    trackers.finish(loggers, done)
    (folder,) = (directory / "logs" / "wandb").glob("offline-run-*")
    wandb = [sys.executable, "-m", "wandb", "leet", "inspect", "--summary", "--json", str(folder)]
    seen = json.loads(subprocess.run(wandb, capture_output=True, text=True, check=True, timeout=60).stdout)
    flat = {"method": "lora", "base_model": "minilm", "dataset": "bbc_news", "seed": 0, "trainable_params": 3}
    assert flat.items() <= seen["config"].items()
    assert (seen["summary"]["test/accuracy"], seen["summary"]["train/loss"]) == (0.75, 0.5)
    assert (seen["summary"]["status"], seen["exit_code"], seen["state"]) == ("completed", 0, "finished")
    assert {"lora", "minilm", "bbc_news", "mine"} == set(seen["tags"])
    (raw,) = folder.glob("*.wandb")
    assert b"sweep-1" in raw.read_bytes()  # the group, which `leet` does not show
    assert (directory / "metrics.csv").read_text().startswith("step,train/loss")


def test_a_long_path_makes_no_bad_tag(tmp_path: Path) -> None:
    config = composed("tracker=wandb", "model=hf", f"model.name=/{'long/' * 30}model")
    loggers = trackers.build(config, first_record(config, tmp_path / "s" / "r", []), tmp_path / "s" / "r")
    trackers.finish(loggers, first_record(config, tmp_path / "s" / "r", []))


def test_online_without_a_key_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    config = composed("tracker=wandb_online")
    with pytest.raises(UserError, match="tracker=wandb_online needs an account"):
        trackers.build(config, first_record(config, tmp_path / "s" / "r", []), tmp_path / "s" / "r")
