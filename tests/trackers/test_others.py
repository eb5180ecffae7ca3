"""Contents of Trackio, MLflow and TensorBoard, read back with their own readers."""

import json
import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from ftlab.record import find_records
from ftlab.trackers import mlflow, tensorboard, trackio
from tests.fixtures.compose import composed
from tests.trackers.made import tracked


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("TRACKIO_DIR", "MLFLOW_TRACKING_URI", "MLFLOW_DISABLE_TELEMETRY"):
        monkeypatch.setenv(name, "")  # so that what a tracker sets is taken back
        monkeypatch.delenv(name)
    return tmp_path / "sweep-1" / "run-1"


def test_trackio(directory: Path) -> None:
    if find_spec("trackio") is None:  # not imported yet: it reads TRACKIO_DIR then
        pytest.skip("trackio is not installed")
    record = tracked(composed("tracker=trackio", "tracker.project=mine"), directory)
    from trackio.sqlite_storage import SQLiteStorage
    from trackio.utils import TRACKIO_DIR

    (name,) = SQLiteStorage.get_runs("mine")
    assert name.startswith("lora-minilm-s0-")
    config = SQLiteStorage.get_run_config("mine", name)
    assert (config["method"], config["_Group"]) == ("lora", "sweep-1")
    first, last = SQLiteStorage.get_logs("mine", name)
    assert (first["train/loss"], first["step"]) == (0.5, 1)
    assert (last["test/accuracy"], last["status"]) == (0.75, record.status)
    assert "trackio show" in trackio.Tracker.viewing_hint(TRACKIO_DIR.parent)
    assert trackio.Tracker.viewing_hint(directory) is None


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")  # MLflow 3.17 on SQLAlchemy 2.1
@pytest.mark.slow
def test_mlflow(directory: Path) -> None:
    pytest.importorskip("mlflow")
    for _ in range(2):  # the second time as after an interruption: the same run goes on
        tracked(composed("tracker=mlflow", "tracker.project=mine", "tracker.tags=[best]"), directory)
        (directory / "metrics.csv").unlink()
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{directory.parent / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("mine")
    runs = client.search_runs([experiment.experiment_id])
    run = runs[0]
    assert run.data.params["method"] == "lora"
    assert run.data.params["trainable_share"] == "0.25"
    assert (run.data.metrics["test/accuracy"], run.data.metrics["train/loss"]) == (0.75, 0.5)
    assert run.info.status == "FINISHED"
    assert {"group": "sweep-1", "best": "true", "status": "completed"}.items() <= run.data.tags.items()
    folder = Path(run.info.artifact_uri.removeprefix("file://"))
    assert json.loads((folder / "predictions.json").read_text())["data"][1][3:6] == ["text 1", "a", "b"]
    assert (folder / "ftlab_record.json").exists()
    assert len(find_records(directory.parent)) == 1  # the copy of the record is no run
    assert "mlflow ui" in mlflow.Tracker.viewing_hint(directory.parent)
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_tensorboard(directory: Path) -> None:
    tracked(composed("tracker=tensorboard"), directory)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    events = EventAccumulator(str(directory / "logs" / "tensorboard"))
    events.Reload()
    assert [(one.step, one.value) for one in events.Scalars("train/loss")] == [(1, 0.5)]
    assert events.Scalars("test/accuracy")[0].value == 0.75
    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    settings = HParamsPluginData.FromString(content).session_start_info.hparams
    assert (settings["method"].string_value, settings["trainable_params"].number_value) == ("lora", 3)
    assert f"tensorboard --logdir {directory / 'logs' / 'tensorboard'}" in tensorboard.Tracker.viewing_hint(
        directory.parent
    )
