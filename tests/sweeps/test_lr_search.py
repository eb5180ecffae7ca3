"""`search=lr`: equal numbers of trials, the best rate for all seeds, and a failed trial that stops nothing."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from ftlab.comparison import compare
from ftlab.comparison.render.csv_file import csv_text
from ftlab.comparison.render.markdown import markdown
from ftlab.comparison.render.terminal import terminal_tables
from ftlab.comparison.tuning import tuning_from_trials
from ftlab.config.groups import SearchConfig
from ftlab.config.paths import conf_dir
from ftlab.config.run_config import RunConfig
from ftlab.core.errors import ConfigError, UserError
from ftlab.record import CostEstimate, MemoryEstimate, Progress, RunRecord, Status, find_records
from ftlab.record.plans import read_plan, write_plan
from ftlab.sweeps import run as sweep_run
from ftlab.sweeps.jobs import JobsFailed, run_name
from ftlab.sweeps.lr_search import candidate_lrs
from ftlab.sweeps.run import run_jobs
from ftlab.train.recorder import new_record
from tests.fixtures.compose import composed
from tests.fixtures.refusals import refused

METHODS = sorted((conf_dir() / "method").glob("*.yaml"))
Value = Callable[[RunConfig], float | None]


class FakeSweep:
    """Stands for `run_sweep`: writes a record for each job, with the value that validation is to have."""

    def __init__(self, value: Value, ends: dict[float, Status] | None = None) -> None:
        self.value = value
        self.ends = ends or {}
        self.calls: list[list[RunConfig]] = []

    def __call__(self, configs: list[RunConfig], directory: Path, *_: object, **__: object) -> list[RunRecord]:
        self.calls.append(configs)
        return [self._record(config, directory / run_name(config)) for config in configs]

    def _record(self, config: RunConfig, folder: Path) -> RunRecord:
        status = self.ends.get(config.optim.lr or 0.0, "completed")
        best = self.value(config) if status == "completed" else None
        update: dict[str, Any] = {
            "status": status,
            "progress": Progress(step=4, steps=4, loss=1.0, best=best),
            "started_at": "2026-11-22T12:00:00+00:00",
            "finished_at": "2026-11-22T12:00:10+00:00",
        }
        record = new_record(config, folder, []).model_copy(update=update)
        record.write(folder)
        return record


def search(monkeypatch: pytest.MonkeyPatch, fake: FakeSweep, folder: Path, *configs: RunConfig) -> list[RunRecord]:
    monkeypatch.setattr(sweep_run, "run_sweep", fake)
    return run_jobs(list(configs), folder, lambda: None)


@cache
def _composed(*overrides: str) -> RunConfig:
    return composed(*overrides)


def wanted(method: str, seed: int = 0, *more: str) -> RunConfig:
    return _composed("search=lr", f"method={method}", *more).model_copy(update={"seed": seed})


@pytest.fixture(scope="module")
def full() -> RunConfig:
    return wanted("full")


def _with(config: RunConfig, space: Any, trials: int) -> RunConfig:
    method = config.method.model_copy(update={"search": {"lr": space}})
    return config.model_copy(update={"method": method, "search": SearchConfig(name="lr", trials=trials)})


@pytest.mark.parametrize("trials", [1, 3, 4, 7])
def test_every_method_tries_as_many_rates_within_its_own_search(trials: int, full: RunConfig) -> None:
    own = [list(found.search.lr) for path in METHODS if "search" in (found := OmegaConf.load(path))]
    assert len(own) > 20
    for space in own:
        found = candidate_lrs(_with(full, space, trials))
        assert len(found) == trials
        assert found == sorted(found)
        assert min(space) <= found[0] <= found[-1] <= max(space)
        assert found == space or len(space) != trials


@settings(deadline=None)
@given(low=st.floats(1e-6, 1e-2), factor=st.floats(3, 1e3), trials=st.integers(2, 9), log=st.booleans())
def test_rates_of_a_range_are_even_on_a_logarithmic_scale(
    full: RunConfig, low: float, factor: float, trials: int, log: bool
) -> None:
    found = candidate_lrs(_with(full, {"low": low, "high": low * factor, "log": log}, trials))
    assert len(found) == trials
    steps = [after / before for before, after in pairwise(found)]
    assert all(step == pytest.approx(factor ** (1 / (trials - 1)), rel=0.02) for step in steps)


def test_budget_trials_is_the_number_where_it_is_set() -> None:
    assert len(candidate_lrs(wanted("full", 0, "budget=trials", "budget.trials=3", "search.trials=9"))) == 3


def test_trials_come_first_and_the_best_rate_runs_with_all_seeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    best = {"lora": 1e-3, "full": 4e-4, "majority": 0}
    fake = FakeSweep(lambda config: abs((config.optim.lr or 0) - best[config.method.name]))
    configs = [*(wanted(name, seed) for name in ("lora", "full") for seed in (0, 1, 2)), wanted("majority")]
    records = search(monkeypatch, fake, tmp_path, *configs)
    trials, runs = fake.calls
    assert {config.search.role for config in trials} == {"trial"}
    assert {config.search.role for config in runs} == {"run"}
    assert [config.seed for config in trials] == [10_000] * 8, "a seed that chooses does not count again"
    assert [config.optim.lr for config in runs] == [1e-3] * 3 + [4e-4] * 3 + [None]
    assert [record.seed for record in records] == [0, 1, 2, 0, 1, 2, 0]
    folders = [run_name(config) for config in (*trials, *runs)]
    assert len(set(folders)) == len(folders), "a trial and the run of the same settings lie apart"
    compared = compare([tmp_path])
    assert len(compared.runs) == 7, "trials are no rows"
    (found,) = compared.tables
    assert {run.record.method: run.tuning_s for run in found.runs} == {"lora": 40, "full": 40, "majority": None}
    assert len(found.tunings) == 2
    text = markdown(compared)
    facts = ("lora: 4 ", "40.0 s", "val/loss", "0.0000", "0.001")
    assert any(all(fact in line for fact in facts) for line in text.splitlines())
    assert terminal_tables(compared)
    header, first = csv_text(compared, tmp_path).splitlines()[:2]
    assert dict(zip(header.split(","), first.split(","), strict=True))["tuning_s"]


def test_runs_with_the_chosen_rate_have_the_prediction_that_was_made_with_the_default_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = MemoryEstimate(weights=1, gradients=1, optimizer=1, activations=1, baseline=1, peak=5)
    numbers = {"trainable": 1, "total": 1, "optimizer_steps": 4, "micro_batch_size": 16, "probe_steps": 10}
    made = CostEstimate(memory_bytes=memory, train_s=1.0, train_cpu_s=1.0, probe_s=1.0, **numbers)
    config = wanted("full")
    write_plan(tmp_path, {run_name(config): made})
    fake = FakeSweep(lambda config: config.optim.lr)
    search(monkeypatch, fake, tmp_path, config)
    (run,) = fake.calls[-1]
    assert run_name(run) != run_name(config)
    assert read_plan(tmp_path)[run_name(run)] == made


def test_a_trial_that_diverges_has_failed_and_counts_as_cost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeSweep(lambda config: config.optim.lr, {5e-5: "failed", 1e-4: "oom"})
    (record,) = search(monkeypatch, fake, tmp_path, wanted("full"))
    assert record.config["optim"]["lr"] == 2e-4, "the best of those that have a value"
    found = tuning_from_trials([record for _, record in find_records(tmp_path) if record.role == "trial"])
    assert (len(found.rates), found.failed, found.unfinished, found.seconds) == (4, 2, 0, 40)
    assert (found.best, found.median, found.value_range) == (2e-4, pytest.approx(3e-4), pytest.approx(2e-4))
    assert all(fact in str(found) for fact in ("4 ", "2 failed", "40.0 s"))
    assert "method.search.lr" not in str(found), "the best is between others: there is no need to search further"
    assert "method.search.lr" in str(replace(found, rates=found.rates[2:] * 2))


def test_a_pruned_trial_is_neither_failed_nor_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeSweep(lambda config: config.optim.lr, {5e-5: "pruned", 1e-4: "pruned", 4e-4: "failed"})
    (record,) = search(monkeypatch, fake, tmp_path, wanted("full"))
    assert record.config["optim"]["lr"] == 2e-4
    found = tuning_from_trials([record for _, record in find_records(tmp_path) if record.role == "trial"])
    assert (found.pruned, found.failed, found.unfinished) == (2, 1, 0)
    assert all(fact in str(found) for fact in ("4 ", "2 pruned", "1 failed"))


@pytest.mark.parametrize("end", ["failed", "timeout"])
def test_without_a_choice_the_others_run_and_the_command_fails(
    end: Status, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = dict.fromkeys([5e-4, 1e-3, 2e-3, 4e-3], end) if end == "failed" else {5e-4: end}
    fake = FakeSweep(lambda config: 0.5, ends)
    with refused(JobsFailed, "lora: 4 ", "4 failed" if end == "failed" else "1 open"):
        search(monkeypatch, fake, tmp_path, wanted("lora"), wanted("bitfit"))
    assert [config.method.name for config in fake.calls[1]] == ["bitfit"]


def test_several_seeds_for_each_rate_are_averaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {(5e-5, 10_000): 0.1, (5e-5, 10_001): 0.9, (1e-4, 10_000): 0.4, (1e-4, 10_001): 0.4}
    fake = FakeSweep(lambda config: values.get((config.optim.lr or 0, config.seed), 0.8))
    configs = [wanted("full", seed, "search.seeds=2") for seed in (0, 1, 2)]
    records = search(monkeypatch, fake, tmp_path, *configs)
    assert len(fake.calls[0]) == 8
    assert {record.config["optim"]["lr"] for record in records} == {1e-4}


def test_a_folder_of_trials_alone_is_no_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with refused(JobsFailed, "full: 4 "):
        search(monkeypatch, FakeSweep(lambda config: None), tmp_path, wanted("full"))
    with refused(UserError, "trials", "search"):
        compare([tmp_path])


@pytest.mark.parametrize(
    ("overrides", "culprits"),
    [
        (["search=lr", "optim.lr=1e-3"], ["optim.lr=0.001", "search=lr"]),
        (["search=lr", "~method.search"], ["method=lora", "search: {lr:"]),
        (["search=lr", "method.search.lr=[1e-3]"], ["method=lora", "1 different", "4 trials", "search.trials"]),
        (["budget=trials"], ["budget.trials", "search=lr", "hydra/sweeper=optuna"]),
    ],
)
def test_what_cannot_be_searched_is_told_before_anything_starts(
    overrides: list[str], culprits: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeSweep(lambda config: 0.5)
    with refused(ConfigError, *culprits):
        search(monkeypatch, fake, tmp_path, composed(*overrides))
    assert not fake.calls


def test_two_searches_at_once_are_refused(tmp_path: Path) -> None:
    with refused(ConfigError, "search=lr", "hydra/sweeper"):
        run_jobs([wanted("lora")], tmp_path, lambda: None, lambda *_: False)


def test_runs_of_a_sweep_have_one_rung(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They would be the same runs, and all but one rung would be forgotten."""
    fake = FakeSweep(lambda config: 0.5)
    with refused(ConfigError, "search.rung"):
        search(monkeypatch, fake, tmp_path, composed("search.rung=0.3"), composed("search.rung=0.5"))
    assert not fake.calls
