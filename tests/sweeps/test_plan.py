"""A planned sweep: nothing is trained or left but plan.json, and the runs that follow are those of an unplanned one."""

import json
from pathlib import Path

import pytest

from ftlab.comparison.formats import format_duration
from ftlab.core.errors import ConfigError, UserError
from ftlab.launch.local import LocalExecutor
from ftlab.record import find_records
from ftlab.record.plans import PLAN_FILE, read_plan
from ftlab.sweeps.jobs import JobsFailed, run_name
from ftlab.sweeps.plan import _what_costs, plan_if_requested
from tests.fixtures.compose import composed
from tests.fixtures.refusals import refused
from tests.launch.sweeping import Bench, bench  # noqa: F401

pytestmark = pytest.mark.xdist_group("bench")


def test_planning_leaves_the_plan_and_nothing_else_and_changes_no_result(
    bench: Bench,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    plain = bench.config("unplanned", "model.dropout=0.1")
    first = bench.config("planned", "model.dropout=0.1", "plan=first")
    missing = bench.config("planned", "dataset.columns.text=nowhere", "plan=first")
    folder = Path(first.sweep.dir)
    assert run_name(plain) == run_name(first)
    with refused(JobsFailed, "1 of 2"):
        plan_if_requested([first, missing], folder, LocalExecutor(1))
    assert {path.name for path in folder.iterdir()} == {PLAN_FILE, ".lock"}
    assert set(read_plan(folder)) == {run_name(first)}
    told = capsys.readouterr()
    assert "nowhere" in told.err
    assert "Traceback" not in told.err
    assert run_name(first) in told.out
    assert str(folder / PLAN_FILE) in told.out.replace("\n", "")

    (without,), (record,) = bench.run([plain]), bench.run([first])
    assert record.metrics == without.metrics  # to the bit
    assert record.fingerprint == without.fingerprint
    assert without.predicted is None
    assert record.predicted == read_plan(folder)[run_name(first)]
    assert record.predicted.probe_steps == 10
    assert record.predicted.trainable == record.parameters.trainable
    assert record.predicted.memory_bytes.peak == pytest.approx(record.cost.peak_memory_bytes, rel=0.15)
    assert [found for _, found in find_records(folder)] == [record]
    assert record.cost.latency.status == "ok"
    assert record.cost.latency.batched_s > 0
    assert record.cost.latency.merged_single_example_s > 0
    assert record.cost.energy_joules is None
    assert record.cost.energy_status == "no GPU"
    assert record.cost.train_cpu_s > 0
    assert record.cost.training_flops > 2 * record.cost.tokens_seen


def test_jobs_of_equal_cost_are_measured_once_and_the_total_counts_them_all(
    bench: Bench,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    searched = [
        bench.config("equal", "search=lr", "search.trials=2", "plan=true", f"seed={seed}", "method=head")
        for seed in (0, 1, 2)
    ]
    slower = bench.config("equal", "plan=true", "seed=0", "method=head", "optim.lr=1e-4", "search=none")
    folder = Path(slower.sweep.dir)
    assert not plan_if_requested([*searched, slower], folder, LocalExecutor(1))
    told = capsys.readouterr().out.replace("\n", " ")
    assert told.count("planning head-") == 1
    estimates = read_plan(folder)
    assert set(estimates) == {run_name(config) for config in (*searched, slower)}
    (estimate,) = {each.model_dump_json(): each for each in estimates.values()}.values()
    assert min(estimate.setup_s, estimate.train_s, estimate.validation_s, estimate.test_s) > 0
    assert estimate.total_s() > estimate.total_s(with_test=False) > estimate.train_s
    seconds = 4 * estimate.total_s() + 2 * estimate.total_s(with_test=False)
    assert f"Total: {format_duration(seconds)} for 4 runs and 2 trials" in told


def test_what_changes_time_or_memory_is_measured_on_its_own() -> None:
    cheap = _what_costs(composed("optim=sgd", "optim.lr=0.1", "optim.momentum=0.9"))
    assert cheap == _what_costs(composed("optim=sgd", "optim.lr=0.2", "optim.momentum=0.9", "seed=3"))
    assert cheap != _what_costs(composed("optim=sgd", "optim.lr=0.1", "optim.momentum=0")), "which has no state"


def test_what_cannot_be_planned_is_told(bench: Bench) -> None:  # noqa: F811
    folder = bench.folder / "never"
    sharded = bench.config("never", "hardware=fsdp_cpu", "plan=true")
    with refused(ConfigError, "plan", "hardware.strategy=fsdp", "hardware.strategy=ddp"):
        plan_if_requested([sharded], folder, LocalExecutor(1))
    both = [bench.config("never", f"plan={plan}") for plan in ("true", "false")]
    with refused(ConfigError, "plan"):
        plan_if_requested(both, folder, LocalExecutor(1))
    floor = [bench.config("never", "method=majority", f"plan={plan}") for plan in ("true", "first")]
    with refused(ConfigError, "plan"):
        plan_if_requested(floor[:1], folder, LocalExecutor(1))
    assert plan_if_requested(floor[1:], folder, LocalExecutor(1))  # it runs, unplanned
    timed = bench.config("never", "budget=seconds", "plan=first")
    with refused(ConfigError, "plan", "budget.seconds", "budget.steps"):
        plan_if_requested([timed], folder, LocalExecutor(1))
    assert not folder.exists()


@pytest.mark.parametrize("text", ["[]", "{", json.dumps({"run": {"train_s": 1}})])
def test_a_file_that_is_no_plan_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / PLAN_FILE).write_text(text)
    with refused(UserError, tmp_path / PLAN_FILE):
        read_plan(tmp_path)
