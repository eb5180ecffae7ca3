"""The predictions of the best validation are those of the weights that are kept, however a run gets there."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.demos.boring_classes import BoringModel

from ftlab.kinds.classification import KIND
from ftlab.methods.partial import Full
from ftlab.models.devices import Devices
from ftlab.record import RunRecord
from ftlab.record.checkpoints import FOLDER, resume_points
from ftlab.record.folder import PREDICTIONS, VAL_PREDICTIONS
from ftlab.tasks.base import TaskModule
from ftlab.train.callbacks.val_predictions import ValPredictions
from ftlab.train.checkpoint_io import DurableCheckpointIO
from ftlab.train.length import TrainingLength
from ftlab.train.run import run
from ftlab.train.trainer import best_checkpoint, build_trainer
from tests.fixtures.compose import composed
from tests.fixtures.finished_runs import finished, settings_for
from tests.mixing import settings as mixture

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*exists and is not empty"),  # checkpoints of a run that is resumed
]

NAN = float("nan")
ASKED = "sweep.val_predictions=true"
# each validation is worse than the one before, better, or the same
WORSE = ("method=full", "optim=sgd", "optim.lr=10", "optim.schedule=constant", "optim.warmup=0")
BETTER = ("method=full", "optim.lr=0.003", "model.dropout=0.1")
SAME = ("method=full", "optim=sgd", "optim.lr=1e-30")


def run_tiny(directory: Path, *overrides: str) -> RunRecord:
    return run(composed(*settings_for("bert", "text_files"), "hardware=cpu", ASKED, *overrides), directory, [])


class Scripted(BoringModel):
    """Its validations have these losses."""

    def __init__(self, losses: list[float]) -> None:
        super().__init__()
        self.losses = losses

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        return {"predictions": [{"step": self.global_step, "batch": batch_idx}]}

    def on_validation_epoch_end(self) -> None:
        self.log("val/loss", torch.tensor(self.losses[self.global_step - 1]))


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize(
    "losses",
    [
        [3.0, 2.0, 2.0, 1.0, 1.5],
        [1.0, 1.0 + 1e-9, 1.0 - 1e-9, 1.0],  # all the same as float32, which Lightning compares
        [NAN, NAN, 5.0, NAN, 5.0],
        [float("inf"), 2.0, float("-inf"), 1.0],
    ],
)
def test_a_validation_is_written_if_its_weights_are_kept(
    losses: list[float], mode: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[int] = []
    monkeypatch.setattr(
        DurableCheckpointIO, "save_checkpoint", lambda self, state, *_, **__: saved.append(state["global_step"])
    )
    written: list[list[dict[str, int]]] = []
    best = best_checkpoint(replace(KIND, monitor="val/loss", mode=mode), tmp_path)
    trainer = build_trainer(
        Devices(),
        composed().optim,
        TrainingLength(steps=len(losses), batches=len(losses), validation_every=1),
        tmp_path,
        callbacks=[ValPredictions(tmp_path, best, lambda rows, path: written.append(rows)), best],
        loggers=[],
        find_unused_parameters=False,
    )
    trainer.fit(Scripted(losses))
    assert saved
    assert [rows[0]["step"] for rows in written] == saved
    for rows in written:  # those of one validation
        assert [row["batch"] for row in rows] == list(range(64))
        assert {row["step"] for row in rows} == {rows[0]["step"]}


def check_file(directory: Path, record: RunRecord) -> list[dict[str, Any]]:
    """Assert that the file has the best validation, each row once; return its rows."""
    rows = pq.read_table(directory / VAL_PREDICTIONS).to_pylist()
    assert len(rows) == record.data.rows["val"]
    assert {row["split"] for row in rows} == {"val"}
    assert sum(row["loss"] for row in rows) / len(rows) == pytest.approx(
        record.metrics[record.task]["val"]["loss"].value, rel=1e-5
    )
    assert not list(directory.glob(".*parquet*"))
    return rows


@pytest.mark.parametrize("settings", [WORSE, BETTER], ids=["worse", "better"])
def test_the_file_is_that_of_the_validation_whose_weights_are_tested(settings: tuple[str, ...], tmp_path: Path) -> None:
    record = run_tiny(tmp_path, *settings, "budget.validations=4")
    rows = check_file(tmp_path, record)
    with (tmp_path / "metrics.csv").open(encoding="utf-8", newline="") as stream:
        losses = [float(row["val/loss"]) for row in csv.DictReader(stream) if row["val/loss"]]
    assert len(losses) == 4
    assert (losses[-1] == min(losses)) == (settings == BETTER)
    columns = pq.read_table(tmp_path / PREDICTIONS).column_names
    assert {"where", "text"} < {*columns}
    assert list(rows[0]) == [name for name in columns if name not in ("where", "text")]
    ids, test_ids = (
        {*pq.read_table(tmp_path / name)["example_id"].to_pylist()} for name in (VAL_PREDICTIONS, PREDICTIONS)
    )
    assert len(ids) == len(rows)
    assert not ids & test_ids
    assert not [warning for warning in record.warnings if VAL_PREDICTIONS in warning]


def test_a_method_that_does_not_train_has_its_one_validation(tmp_path: Path) -> None:
    check_file(tmp_path, run_tiny(tmp_path, "method=majority"))


@pytest.mark.parametrize("method", ["lora", "majority"])
def test_a_trial_has_them_and_no_others(method: str, tmp_path: Path) -> None:
    record = run_tiny(tmp_path, f"method={method}", "+search.role=trial")
    check_file(tmp_path, record)
    assert "test" not in record.metrics["classification"]
    assert not (tmp_path / PREDICTIONS).exists()


def test_rows_of_a_mixture_have_their_part(tmp_path: Path) -> None:
    record = run(composed(*mixture(tmp_path, "method=lora", ASKED)), tmp_path / "run", [])
    rows = pq.read_table(tmp_path / "run" / VAL_PREDICTIONS).to_pylist()
    found = {name: [row for row in rows if row["task"] == name] for name in record.data.parts}
    assert {name: len(of) for name, of in found.items()} == {
        name: part.rows["val"] for name, part in record.data.parts.items()
    }
    for name, of in found.items():
        expected = record.metrics[name]["val"]["loss"].value
        assert sum(row["loss"] for row in of) / len(of) == pytest.approx(expected, rel=1e-5), name


def test_nothing_is_written_or_kept_unless_it_is_asked_for() -> None:
    assert not (finished("bert", "text_files", "method=lora") / VAL_PREDICTIONS).exists()


def test_a_file_of_an_earlier_attempt_goes_with_the_setting(tmp_path: Path) -> None:
    """A better validation may follow, which nobody would see in the file."""
    (tmp_path / VAL_PREDICTIONS).write_bytes(b"of a validation before")
    run_tiny(tmp_path, "method=majority", "sweep.val_predictions=false")
    assert not (tmp_path / VAL_PREDICTIONS).exists()


class Killed(RuntimeError):
    """The end of a process, as far as its files are concerned."""


class Kills(Callback):
    """Ends training in its eighth step."""

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == 8:
            raise Killed


def killed(directory: Path, monkeypatch: pytest.MonkeyPatch, *settings: str) -> None:
    """Run until the eighth step; the validations were after the third and the sixth, the newest checkpoint is older."""
    with monkeypatch.context() as patches:
        patches.setattr("ftlab.train.callbacks.resume.MAX_CHECKPOINTS", 99)
        patches.setattr(Full, "callbacks", lambda self: [Kills()])
        with pytest.raises(Killed):
            run_tiny(directory, *settings)
    for point in resume_points(directory / FOLDER):
        if point.step > 4:
            point.path.unlink()


LENGTH = ("budget.steps=12", "budget.validations=4", "optim.batch_size=4", "sweep.checkpoint_s=0")


@pytest.mark.parametrize("settings", [WORSE, BETTER, SAME], ids=["worse", "better", "same"])
def test_a_run_killed_after_a_later_validation_than_its_checkpoint_ends_with_the_same_file(
    settings: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_tiny(tmp_path / "whole", *settings, *LENGTH)
    whole = (tmp_path / "whole" / VAL_PREDICTIONS).read_bytes()
    broken = tmp_path / "broken"
    killed(broken, monkeypatch, *settings, *LENGTH)
    before = (broken / VAL_PREDICTIONS).read_bytes()
    assert (before == whole) == (settings != BETTER)
    record = run_tiny(broken, *settings, *LENGTH)
    assert record.resumed_at == [4]
    assert (broken / VAL_PREDICTIONS).read_bytes() == whole
    check_file(broken, record)


def test_a_run_whose_best_validation_was_before_the_setting_says_that_there_is_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(tmp_path, monkeypatch, *WORSE, *LENGTH, "sweep.val_predictions=false")
    assert not (tmp_path / VAL_PREDICTIONS).exists()
    record = run_tiny(tmp_path, *WORSE, *LENGTH)
    assert record.resumed_at == [4]
    assert not (tmp_path / VAL_PREDICTIONS).exists()
    (warning,) = [warning for warning in record.warnings if VAL_PREDICTIONS in warning]
    assert "sweep.name" in warning


def test_a_task_module_keeps_no_predictions_of_validation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[int] = []
    end = ValPredictions.on_validation_end

    def noting(self: ValPredictions, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, TaskModule)
        kept.append(len(self._rows))
        end(self, trainer, pl_module)
        kept.append(len(self._rows) + len(pl_module.predictions))

    monkeypatch.setattr(ValPredictions, "on_validation_end", noting)
    record = run_tiny(tmp_path, "method=lora", "budget.validations=2")
    assert kept == [record.data.rows["val"], 0] * 2
