"""Contents of Trackio, MLflow and TensorBoard, read back with their own readers."""

import json
import os
from importlib.metadata import PackageNotFoundError
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


def test_tensorboard_gets_results_once_the_run_is_over(directory: Path) -> None:
    """It keeps the first settings and columns that it reads of a run."""
    tracked(composed("tracker=tensorboard"), directory, status="interrupted")
    tracked(composed("tracker=tensorboard"), directory)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(directory / "logs" / "tensorboard"))
    events.Reload()
    assert len(events.Scalars("values/test/accuracy")) == 1
    assert len(events.Scalars("train/loss")) == 1, "the second attempt repeats the step"


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
    assert last["values/test/accuracy"] == 0.75
    assert not [name for name in last if name.startswith(("cost/", "test/", "parameters/"))], "no chart of one point"
    assert (config["status"], config["test/macro_f1"], config["parameters/total"]) == (record.status, 0.5, 12)
    assert "trackio show" in trackio.Tracker.viewing_hint(TRACKIO_DIR.parent)
    assert trackio.Tracker.viewing_hint(directory) is None


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")  # MLflow 3.17 on SQLAlchemy 2.1
@pytest.mark.slow
def test_mlflow(directory: Path) -> None:
    pytest.importorskip("mlflow")
    for _ in range(2):  # the second time as after an interruption: the same run goes on
        tracked(composed("tracker=mlflow", "tracker.project=mine", "tracker.tags=[best]"), directory)
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{directory.parent / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("mine")
    runs = client.search_runs([experiment.experiment_id])
    run = runs[0]
    assert run.data.params["method"] == "lora"
    assert run.data.params["trainable_share"] == "0.25"
    assert (run.data.metrics["values/test/accuracy"], run.data.metrics["train/loss"]) == (0.75, 0.5)
    assert {name.split("/")[0] for name in run.data.metrics} == {"train", "values"}
    assert (run.data.params["test/macro_f1"], run.data.params["parameters/total"]) == ("0.5", "12")
    assert run.info.status == "FINISHED"
    assert {"group": "sweep-1", "best": "true", "status": "completed"}.items() <= run.data.tags.items()
    folder = Path(run.info.artifact_uri.removeprefix("file://"))
    assert json.loads((folder / "predictions.json").read_text())["data"][1][3:7] == ["a.csv:2", "text 1", "a", "b"]
    assert (folder / "ftlab_record.json").exists()
    assert len(find_records(directory.parent)) == 1  # the copy of the record is no run
    database = directory.parent / "mlflow.db"
    assert f" ui --backend-store-uri sqlite:///{database}" in mlflow.Tracker.viewing_hint(directory.parent)
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


@pytest.mark.parametrize(
    ("installed", "command"),
    [
        ({"mlflow": "3.1", "mlflow-skinny": "3.1"}, "`mlflow ui --b"),
        ({"mlflow-skinny": "3.2"}, "`uvx mlflow@3.2 ui --b"),
        ({}, "`uvx mlflow ui --b"),
    ],
)
def test_mlflows_pages_are_offered_by_a_command_that_has_them(
    installed: dict[str, str], command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The extra installs mlflow-skinny, whose `mlflow ui` fails."""

    def version(name: str) -> str:
        if name not in installed:
            raise PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr("ftlab.trackers.mlflow.version", version)
    (tmp_path / "mlflow.db").touch()
    assert command in mlflow.Tracker.viewing_hint(tmp_path)


def test_tensorboard(directory: Path) -> None:
    tracked(composed("tracker=tensorboard"), directory)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    events = EventAccumulator(str(directory / "logs" / "tensorboard"))
    events.Reload()
    assert [(one.step, one.value) for one in events.Scalars("train/loss")] == [(1, 0.5)]
    groups = sorted({tag.split("/")[0] for tag in events.Tags()["scalars"]})
    assert groups == ["train", "values"], "it opens on the first groups of the alphabet"
    assert events.Scalars("values/test/accuracy")[0].value == 0.75

    def plugin_data(tag: str) -> HParamsPluginData:
        return HParamsPluginData.FromString(events.SummaryMetadata(tag).plugin_data.content)

    settings = plugin_data("_hparams_/session_start_info").session_start_info.hparams
    assert (settings["method"].string_value, settings["trainable_params"].number_value) == ("lora", 3)
    table = plugin_data("_hparams_/experiment").experiment
    preselected = {column.name for column in table.hparam_infos if column.differs}
    assert preselected == {"method", "lr", "seed", "dataset", "base_model"}
    assert table.metric_infos[0].name.tag == "values/test/accuracy"
    assert table.metric_infos[0].display_name == "test/accuracy"
    (text,) = events.Tensors("results/text_summary")
    assert "| test/macro_f1 | 0.5 |" in text.tensor_proto.string_val[0].decode()
    assert f"tensorboard --logdir {directory / 'logs' / 'tensorboard'}" in tensorboard.Tracker.viewing_hint(
        directory.parent
    )
