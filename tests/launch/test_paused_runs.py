"""Sweeps whose runs pause at the end of a rung: what the same command and a later one do with them."""

import math
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ftlab.comparison import compare
from ftlab.config.run_config import RunConfig
from ftlab.launch.status import sweep_status
from ftlab.record.checkpoints import FOLDER, resume_points
from tests.launch.sweeping import Bench, directory_of

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("bench")]

TRAINED = ("method=lora", "optim.lr=0.01", "budget.steps=20", "budget.validations=5", "model.dropout=0.2")


def configs(bench: Bench, sweep: str, *overrides: str, seeds: int = 2) -> list[RunConfig]:
    return [bench.config(sweep, *TRAINED, f"seed={seed}", *overrides) for seed in range(seeds)]


def test_runs_of_a_sweep_pause_stay_and_go_on(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    first = configs(bench, "rungs", "search.rung=0.4")
    records = bench.run(first)
    assert [(record.status, record.progress.step) for record in records] == [("paused", 8)] * 2
    assert not any(record.has_failed for record in records)
    sweep = Path(first[0].sweep.dir)
    comparison = compare([sweep])
    assert not comparison.failed
    assert not comparison.configurations
    assert {run.outcome for run in comparison.runs} == {"paused at step 8/20: its rung ended"}
    assert "error" not in capsys.readouterr().err
    started = [record.started_at for record in records]
    again = bench.run(configs(bench, "rungs", "search.rung=0.4"))
    assert [record.resumed_at for record in again] == [[], []], "the same rung is over"
    assert "search.rung" in capsys.readouterr().out
    assert {run.status for run in sweep_status(sweep)} == {"paused"}
    later = bench.run(configs(bench, "rungs", "search.rung=0.6", seeds=1))
    assert [(record.status, record.progress.step, record.resumed_at) for record in later] == [("paused", 12, [8])]
    done = bench.run(configs(bench, "rungs"))
    assert [(record.status, record.resumed_at) for record in done] == [("completed", [8, 12]), ("completed", [8])]
    assert [record.started_at for record in done] == started, "they are the same runs"
    whole = bench.run(configs(bench, "whole"))
    for record, other in zip(done, whole, strict=True):
        assert record.metrics == other.metrics
        assert record.config_hash == other.config_hash
    tables = [
        [pq.read_table(directory_of(config) / "predictions.parquet") for config in configs(bench, name)]
        for name in ("rungs", "whole")
    ]
    assert tables[0] == tables[1]


def test_all_ranks_pause_at_the_same_step(bench: Bench) -> None:
    pair = ("hardware=ddp_cpu", "model.dropout=0.0", "method.config.lora_dropout=0.0")
    (paused,) = bench.run(configs(bench, "two", "search.rung=0.4", *pair, seeds=1))
    assert (paused.status, paused.progress.step) == ("paused", 8), paused.failure
    (directory,) = map(directory_of, configs(bench, "two", *pair, seeds=1))
    assert next(point.step for point in resume_points(directory / FOLDER)) == 8
    assert paused.cost.examples_seen == 8 * paused.config["optim"]["batch_size"], "of both ranks"
    (done,) = bench.run(configs(bench, "two", *pair, seeds=1))
    assert (done.status, done.resumed_at) == ("completed", [8])
    (alone,) = bench.run(configs(bench, "one", *pair[1:], seeds=1))
    losses = [record.metrics["classification"]["test"]["loss"].value for record in (done, alone)]
    assert math.isclose(*losses, rel_tol=1e-4)
