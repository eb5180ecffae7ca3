"""Runs and sweeps as Python reads them: from their folders alone, whatever state the files are in."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ftlab.api.results import Run, load_run, load_sweep
from ftlab.comparison import compare
from ftlab.comparison.render.files import write_comparison
from ftlab.core.errors import UserError
from ftlab.record import Metric
from tests.comparison.answered import with_hits
from tests.comparison.factory import add_run
from tests.fixtures.statements import states

GOLDEN = Path(__file__).parents[1] / "golden" / "sweep_2026_11"


def test_a_run_has_its_record_metrics_and_files(tmp_path: Path) -> None:
    folder = with_hits(tmp_path / "sweep", "lora", 0, np.array([1, 0, 1, 1]))
    run = load_run(str(folder))
    assert (run.directory, run.name, run.status) == (folder, folder.name, "completed")
    assert run.metrics == {"accuracy": 0.75}
    assert run.config["method"]["name"] == run.record.method == "lora"
    predictions = run.predictions()
    assert (predictions["label"] == predictions["prediction"]).mean() == 0.75
    assert load_run(run) == run  # a run is a path
    assert repr(run) == f"Run({str(folder)!r}, completed)"


def test_a_run_stays_the_same_in_another_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_run(tmp_path / "here" / "sweep", "lora")
    monkeypatch.chdir(tmp_path / "here")
    sweep = load_sweep("sweep")
    curves = load_run(sweep.runs[0]).curves()
    monkeypatch.chdir(tmp_path)
    assert len(sweep.runs[0].curves()) == len(curves) > 0


def test_metrics_leave_out_what_has_no_value_and_name_the_parts_of_a_mixture(tmp_path: Path) -> None:
    def metric(value: float | None) -> Metric:
        return Metric(value=value, n=10)

    parts = {"mixture": {"loss": metric(0.5)}, "news": {"accuracy": metric(0.9), "loss": metric(None)}}
    changes = {"task": "mixture", "metrics": {name: {"test": metrics} for name, metrics in parts.items()}}
    run = load_run(add_run(tmp_path, "lora", changes=changes))
    assert run.metrics == {"loss": 0.5, "news/accuracy": 0.9}


def test_what_is_no_run_is_told(tmp_path: Path) -> None:
    folder = add_run(tmp_path / "sweep", "lora")
    for path, facts in [
        (tmp_path / "nowhere", ("nowhere", "not the folder of a run")),
        (tmp_path / "sweep", ("folder of a sweep", folder)),
        (folder / "record.json", ("is a file", folder)),
    ]:
        with pytest.raises(UserError) as error:
            load_run(path)
        states(str(error.value), *facts)
    with pytest.raises(UserError, match="nowhere"):
        load_sweep(tmp_path / "nowhere")


def test_curves_have_a_row_per_step(tmp_path: Path) -> None:
    folder = add_run(tmp_path, "lora")
    curves = load_run(folder).curves()
    with (folder / "metrics.csv").open(encoding="utf-8", newline="") as stream:
        logged = list(csv.DictReader(stream))
    assert curves["step"].tolist() == sorted({int(row["step"]) for row in logged})
    for name in ("train/loss", "val/loss", "cost/train_s"):
        expected = {int(row["step"]): float(row[name]) for row in logged if row[name]}
        assert curves.set_index("step")[name].dropna().to_dict() == expected  # to the bit


def test_curves_of_a_run_that_was_killed_or_has_logged_nothing(tmp_path: Path) -> None:
    folder = add_run(tmp_path, "lora")
    path = folder / "metrics.csv"
    path.write_bytes(
        b"step,train/loss,val/loss\n1,0.5,\n1,,0.75\n2,0.25,\n2,0.125,\nnan,1,1\n1e400,1,1\n-1,1,1\n\xff,7,7\n3,x,\n4,1,1,1\n5"
    )
    curves = load_run(folder).curves()
    assert curves["step"].tolist() == [1, 2, 3, 5]
    assert curves["train/loss"].tolist()[:2] == [0.5, 0.125]  # of a step that is logged again, the last value
    assert curves["val/loss"].tolist()[0] == 0.75
    assert curves.loc[2:, ["train/loss", "val/loss"]].isna().all().all()
    path.write_text("")
    assert load_run(folder).curves().empty
    path.unlink()
    assert load_run(folder).curves().columns.tolist() == ["step"]
    path.write_text("epoch\n1\n")
    with pytest.raises(UserError, match="step"):
        load_run(folder).curves()


def test_predictions_that_are_missing_or_damaged_are_told(tmp_path: Path) -> None:
    run = load_run(add_run(tmp_path, "lora", status="oom"))
    for read, name in ((Run.predictions, "predictions.parquet"), (Run.val_predictions, "val_predictions.parquet")):
        with pytest.raises(UserError) as error:
            read(run)
        states(str(error.value), run.directory / name, "oom")
        (run.directory / name).write_bytes(b"PAR1 and nothing else")
        with pytest.raises(UserError, match="cannot be read"):
            read(run)


def test_a_pipe_in_place_of_a_file_is_told_and_not_waited_for(tmp_path: Path) -> None:
    run = load_run(add_run(tmp_path, "lora", curves=False))
    for read, name in ((Run.predictions, "predictions.parquet"), (Run.curves, "metrics.csv")):
        os.mkfifo(run.directory / name)
        with pytest.raises(UserError, match="not a file"):
            read(run)


def test_predictions_do_not_obey_what_their_file_says_to_pandas(tmp_path: Path) -> None:
    run = load_run(add_run(tmp_path, "lora"))
    table = pa.table({"example_id": ["a"], "label": ["x"]}).replace_schema_metadata({"pandas": '{"index_columns": 7}'})
    pq.write_table(table, run.directory / "predictions.parquet")
    assert run.predictions().to_dict("records") == [{"example_id": "a", "label": "x"}]


def test_the_table_of_a_sweep_is_comparison_csv(tmp_path: Path) -> None:
    for method in ("full", "lora"):
        for seed in (0, 1):
            add_run(tmp_path, method, seed=seed)
    add_run(tmp_path, "prefix", status="failed")
    sweep = load_sweep(tmp_path)
    table = sweep.to_dataframe()
    write_comparison(compare([tmp_path]), tmp_path)
    written = pd.read_csv(tmp_path / "comparison.csv")
    pd.testing.assert_frame_equal(table, written, check_dtype=False)
    assert table["test_accuracy"].dtype == table["tuning_s"].dtype == "float64"
    assert [run.status for run in sweep.failed] == ["failed"]
    assert len(sweep) == len(list(sweep)) == 5


def test_settings_are_columns_on_request(tmp_path: Path) -> None:
    add_run(tmp_path, "full", settings={"optim.lr": 0.25})
    add_run(tmp_path, "lora")
    sweep = load_sweep(tmp_path)
    assert sweep.to_dataframe("optim.lr").set_index("method")["optim.lr"].to_dict() == {"full": 0.25, "lora": 2e-3}
    table = sweep.to_dataframe(["optim.lr", "budget.epochs"])
    assert table.columns[-2:].tolist() == ["optim.lr", "budget.epochs"]
    for wrong, near in (("optim.lrr", "mean optim.lr?"), ("optm.lr", "mean optim?")):
        with pytest.raises(UserError) as error:
            sweep.to_dataframe(wrong)
        states(str(error.value), wrong, near)


def test_trials_are_apart(tmp_path: Path) -> None:
    add_run(tmp_path, "lora")
    trial = add_run(tmp_path, "lora", changes={"role": "trial"})
    sweep = load_sweep(tmp_path)
    assert [run.directory for run in sweep.trials] == [trial]
    assert len(sweep.to_dataframe()) == len(sweep.runs) == 1
    assert repr(sweep).endswith("1 completed, 1 trials)")


def test_predictions_and_curves_of_a_sweep_name_their_run(tmp_path: Path) -> None:
    with_hits(tmp_path / "one", "lora", 0, np.array([1, 0, 1, 1]))
    with_hits(tmp_path / "two", "lora", 0, np.array([1, 0, 0, 0]))  # a folder of the same name in another sweep
    add_run(tmp_path / "two", "full", status="failed")
    sweep = load_sweep(tmp_path)
    table, predictions, curves = sweep.to_dataframe(), sweep.predictions(), sweep.curves()
    assert predictions.columns.tolist()[:5] == curves.columns.tolist()[:5]
    right = (predictions["label"] == predictions["prediction"]).groupby(predictions["run"]).mean()
    assert right.to_dict() == table.set_index("run")["test_accuracy"].dropna().to_dict()
    assert len(right) == 2
    assert set(curves["run"]) == {"two/001_full_seed0"}  # the only one with a metrics.csv


def test_a_record_that_cannot_be_read_is_warned_of(tmp_path: Path) -> None:
    add_run(tmp_path, "lora")
    broken = add_run(tmp_path, "full")
    (broken / "record.json").write_text("{")
    with pytest.warns(UserWarning, match=str(broken)):
        assert [run.record.method for run in load_sweep(tmp_path)] == ["lora"]


def test_a_sweep_of_november_is_read() -> None:
    sweep = load_sweep(GOLDEN)
    records = [json.loads(path.read_text(encoding="utf-8")) for path in GOLDEN.rglob("record.json")]
    assert len(sweep.runs) + len(sweep.trials) == len(records)
    assert set(sweep.to_dataframe()["status"]) == {"completed", "failed", "interrupted"}
    assert not sweep.predictions().empty
    assert not sweep.curves().empty


def test_the_names_of_a_run_are_those_of_its_record(tmp_path: Path) -> None:
    folder = with_hits(tmp_path, "lora", 0, np.array([1, 0]))
    table = pq.read_table(folder / "predictions.parquet").append_column("method", pa.array(["a", "b"]))
    pq.write_table(table, folder / "predictions.parquet")
    assert load_sweep(tmp_path).predictions()["method"].tolist() == ["lora", "lora"]
