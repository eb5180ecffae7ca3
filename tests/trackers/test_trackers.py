"""Rules for every tracker: one file each, checked early, and never the end of a run."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ftlab import trackers
from ftlab.comparison import compare
from ftlab.config.paths import conf_dir
from ftlab.core.errors import ConfigError, UserError
from ftlab.record import Status, read_record
from ftlab.trackers import run_fields, tables
from ftlab.trackers import wandb as wandb_tracker
from ftlab.trackers.guarded import GuardedLogger
from ftlab.trackers.metrics_csv import logged_rows, metrics_csv_logger
from ftlab.train.recorder import new_record
from tests.comparison import factory
from tests.fixtures.compose import composed
from tests.fixtures.refusals import refused
from tests.fixtures.statements import states
from tests.trackers.made import no_warning, predictions

CHOICES = sorted(path.stem for path in (conf_dir() / "tracker").glob("*.yaml"))


def test_every_choice_is_a_tracker_and_every_tracker_a_choice() -> None:
    assert {"mlflow", "none", "tensorboard", "trackio", "wandb", "wandb_online"} <= set(CHOICES)
    names = {composed(f"tracker={choice}").tracker.name for choice in CHOICES}
    assert names == {*trackers.tracker_names(), "none"}
    for choice in CHOICES:
        assert (trackers.build_tracker(composed(f"tracker={choice}").tracker) is None) == (choice == "none")


def test_an_unknown_tracker_is_told() -> None:
    with refused(ConfigError, "tracker.name='wanbd'", "wandb?"):
        trackers.require_tracker(composed("tracker.name=wanbd").tracker)


@pytest.mark.parametrize("name", ["trackio", "mlflow"])
def test_a_missing_package_is_told_with_what_installs_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftlab.trackers.base.find_spec", lambda _: None)
    with refused(UserError, f"tracker={name}", f'pip install "ftlab[{name}]"'):
        trackers.require_tracker(composed(f"tracker={name}").tracker)


def test_a_tracker_that_cannot_begin_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(wandb_tracker.Tracker, "start", fails)
    config, said = composed("tracker=wandb"), list[str]()
    loggers = trackers.build_loggers(config, new_record(config, tmp_path, []), tmp_path, said.append)
    assert len(loggers) == 1
    (warning,) = said
    states(warning, "tracker=wandb", "OSError: no space left")


def test_a_tracker_that_fails_on_its_way_warns_once_and_is_closed() -> None:
    calls, said = list[str](), list[str]()

    class Broken:
        tracker_config = composed("tracker=wandb").tracker

        def finish(self, *_: Any) -> None:
            calls.append("finish")
            raise RuntimeError("still broken")

        def log_metrics(self, *_: Any) -> None:
            calls.append("log")
            raise RuntimeError("connection lost\nfor good")

    broken: Any = Broken()
    logger = GuardedLogger(broken, broken, said.append)
    for step in range(3):
        logger.log_metrics({"loss": 1.0}, step)
    logger.finish(new_record(composed(), Path("s/r"), []), Path("s/r"))
    assert calls == ["log", "finish"]
    (warning,) = said
    states(warning, "tracker=wandb", "RuntimeError: connection lost for good")


def test_a_tracker_gets_the_curves_and_each_point_once(tmp_path: Path) -> None:
    """An attempt that was killed had logged steps 0 to 2, and step 2's validation not; the next begins with step 1."""
    (tmp_path / "metrics.csv").write_text(
        "epoch,step,train/loss,val/loss\n0.1,0,1.0,\n0.2,1,0.9,\n0.2,1,,0.8\n0.3,2,0.7,\n"
    )
    seen: list[tuple[int | None, dict[str, float]]] = []
    inner: Any = SimpleNamespace(log_metrics=lambda points, step: seen.append((step, points)))
    tracker: Any = SimpleNamespace(tracker_config=composed().tracker)
    logger = GuardedLogger(tracker, inner, no_warning, logged_rows(tmp_path))
    logger.log_metrics({"train/loss": 0.9, "epoch": 0.2}, 1)
    logger.log_metrics({"val/loss": 0.8, "epoch": 0.2}, 1)
    logger.log_metrics({"train/loss": 0.7, "epoch": 0.3}, 2)
    logger.log_metrics({"val/loss": 0.6, "cost/train_s": 3.0, "epoch": 0.3}, 2)
    logger.log_metrics({"train/loss": 0.5, "epoch": 0.4}, 3)
    logger.log_metrics({"test/loss": 0.4, "epoch": 0.4}, 4)
    assert seen == [
        (2, {"val/loss": 0.6, "train/seconds": 3.0, "train/epoch": 0.3}),
        (3, {"train/loss": 0.5, "train/epoch": 0.4}),
    ]


@pytest.mark.parametrize("torn", [b"\0" * 300_000, b"1\xff,\n", b"0.2,x,0.9\n", b"0.2,1,0.9,7,7\n", b"0.2"])
def test_rows_that_a_crash_has_torn_stop_no_resumed_run(torn: bytes, tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_bytes(b"epoch,step,train/loss\n0.1,0,1.0\n" + torn)
    assert logged_rows(tmp_path) == {(0, frozenset({"epoch", "train/loss"}))}
    metrics_csv_logger(tmp_path, resume_step=2)
    assert path.read_text().splitlines() == ["epoch,step,train/loss", "0.1,0,1.0"]
    path.write_bytes(torn)
    assert logged_rows(tmp_path) == set()


def test_a_comparison_that_cannot_be_published_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, said = list[str](), list[str]()

    def fails(self: Any, *_: Any) -> None:
        calls.append(self.tracker_config.name)
        raise RuntimeError("no network")

    monkeypatch.setattr(wandb_tracker.Tracker, "publish", fails)
    settings = [composed("tracker=wandb").tracker] * 2 + [composed("tracker=none").tracker]
    factory.add_run(tmp_path, "lora")
    trackers.publish_comparison(settings, compare([tmp_path]), tmp_path, [], said.append)
    assert calls == []  # one run is nothing to compare
    factory.add_run(tmp_path, "full")
    trackers.publish_comparison(settings, compare([tmp_path]), tmp_path, [], said.append)
    assert calls == ["wandb"]
    (warning,) = said
    states(warning, "tracker=wandb", "RuntimeError: no network")


def test_facts_are_flat(tmp_path: Path) -> None:
    record = read_record(factory.add_run(tmp_path, "lora"))
    found = {**run_fields.config_fields(composed(), record), **run_fields.setup_fields(record)}
    assert found["trainable_share"] == pytest.approx(295_685 / factory.TOTAL)
    assert (found["precision"], found["data_hash"], found["train_rows"]) == ("32-true", "3f2a9c71d04be8566c1f", 1600)
    assert all(value is None or isinstance(value, str | int | float) for value in found.values())
    results = run_fields.results(record)
    assert results["status"] == "completed"
    assert {"test/accuracy", "cost/train_s", "cost/peak_memory_bytes", "parameters/trainable_share"} <= set(results)
    assert "status" not in run_fields.numeric_results(record)


def test_a_trial_has_a_name_of_its_own(tmp_path: Path) -> None:
    record = read_record(factory.add_run(tmp_path, "lora"))
    trial = record.model_copy(update={"role": "trial"})
    assert run_fields.run_name(trial) == f"trial-{run_fields.run_name(record)}"
    assert run_fields.config_fields(composed(), trial)["role"] == "trial"


@pytest.mark.parametrize(("status", "exit_code"), [("completed", 0), ("pruned", 0), ("failed", 1), ("interrupted", 1)])
def test_a_pruned_run_is_not_finished_as_a_failed_one(status: Status, exit_code: int, tmp_path: Path) -> None:
    record = new_record(composed(), tmp_path, []).model_copy(update={"status": status})
    said: list[object] = []
    run = SimpleNamespace(
        config=SimpleNamespace(update=lambda *_, **__: None),
        summary={},
        finish=lambda exit_code: said.append(exit_code),
    )
    wandb_tracker.Tracker(composed("tracker=wandb").tracker).finish(SimpleNamespace(experiment=run), record, tmp_path)
    trackers.finish_run([SimpleNamespace(finalize=said.append)], record, tmp_path)
    assert said == [exit_code, "failed" if exit_code else "success"]


def test_a_failed_run_says_why(tmp_path: Path) -> None:
    results = run_fields.results(read_record(factory.add_run(tmp_path, "lora", status="failed")))
    assert (results["status"], results["failure"]) == ("failed", "RuntimeError: loss is nan\nsecond line")


def test_predictions_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tables.predictions_table(tmp_path) is None
    monkeypatch.setattr(tables, "MAX_PREDICTIONS", 3)
    predictions(tmp_path, ["x" * 1000] * 5, ["x"] * 5)
    headings, found = tables.predictions_table(tmp_path)
    assert len(found) == 3
    assert len(found[0][headings.index("prediction")]) == 300
