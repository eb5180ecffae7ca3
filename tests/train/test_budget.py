"""Budgets of every kind hold, and the record says what was used of them."""

import time
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest

from ftlab.config.fingerprint import config_hash
from ftlab.config.groups import SearchConfig
from ftlab.core.errors import ConfigError, UserError
from ftlab.record import RunRecord, read_record
from ftlab.train.run import run
from tests.fixtures.checkpoints import tiny
from tests.fixtures.compose import composed
from tests.fixtures.finished_runs import MANY_SETTINGS, finished, of_experiment, rows_for
from tests.fixtures.refusals import refused

pytestmark = pytest.mark.xdist_group("budgets")

TOKENS = ("budget=tokens", "budget.tokens=1500", "optim.batch_size=8")


@pytest.fixture(scope="module")
def settings() -> list[str]:
    data = ["dataset=text_files", f"dataset.source.train={rows_for('text_files')}"]
    return ["model=hf", f"model.name={tiny('bert')}", *data, "tracker=none", "hardware=cpu", "budget.max_length=32"]


def _run(settings: list[str], directory: Path, *overrides: str) -> RunRecord:
    record = run(composed(*settings, *overrides), directory, [])
    assert record.status == "completed"
    assert record.budget is not None
    assert record.cost is not None
    return record


@pytest.fixture(scope="module")
def trial(settings: list[str], tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    """The record of a trial of a search, under a budget in tokens."""
    config = composed(*settings, "method=head", *TOKENS, "search=lr")
    folder = tmp_path_factory.mktemp("trial")
    record = run(config.model_copy(update={"search": SearchConfig(name="lr", role="trial")}), folder, [])
    assert {path.name for path in folder.iterdir()} == {"record.json", "metrics.csv"}
    assert "test" not in (folder / "metrics.csv").read_text().splitlines()[0]
    return record


def test_a_trial_never_sees_the_test_split(settings: list[str], trial: RunRecord) -> None:
    assert config_hash(composed(*settings, "search=lr")) == config_hash(composed(*settings))
    assert (trial.status, trial.role) == ("completed", "trial")
    (metrics,) = trial.metrics.values()
    assert set(metrics) == {"val"}
    assert trial.objective == pytest.approx(metrics["val"]["loss"].value)
    assert trial.watched.metric == "val/loss"


def test_a_budget_in_tokens_is_never_exceeded_and_gives_all_methods_the_same_steps(
    settings: list[str], trial: RunRecord, tmp_path: Path
) -> None:
    records = [_run(settings, tmp_path, "method=lora", *TOKENS), trial]
    for record in records:
        assert (record.budget.unit, record.budget.limit) == ("tokens", 1500)
        assert 1500 - 8 * 32 < record.budget.used == record.cost.tokens_seen <= 1500
        assert record.progress.step == record.progress.steps == record.cost.optimizer_steps
    assert len({record.cost.optimizer_steps for record in records}) == 1
    assert len({record.parameters.trainable for record in records}) == 2


@pytest.mark.slow
def test_a_budget_in_flops_gives_cheap_methods_more_steps(settings: list[str], tmp_path: Path) -> None:
    budget = ("budget=flops", "budget.flops=3e8", "optim.batch_size=8", "optim.accumulate=2")
    steps = {}
    for name in ("full", "head"):
        record = _run(settings, tmp_path / name, f"method={name}", *budget)
        assert record.budget.unit == "flops"
        assert 0.5 * 3e8 < record.budget.used <= 3e8
        steps[name] = record.cost.optimizer_steps
    assert steps["head"] > 1.5 * steps["full"]


def test_a_budget_in_seconds_ends_with_a_step(
    settings: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = count()
    clock = SimpleNamespace(perf_counter=lambda: next(looks) / 32, process_time=time.process_time)
    monkeypatch.setattr("ftlab.core.phase_clock.time", clock)  # it goes on by 1/32 s whenever somebody looks
    record = _run(settings, tmp_path, "method=head", "budget=seconds", "budget.seconds=1", "budget.validations=2")
    assert record.budget.unit == "seconds"
    assert record.budget.used == record.cost.train_s >= 1
    assert record.cost.optimizer_steps > 1
    assert record.progress.validated_at == record.progress.step, "the last validation is at the end"
    assert abs(record.progress.steps - record.progress.step) <= 1


def test_budgets_of_before_say_what_was_used() -> None:
    epochs, steps = (
        read_record(folder).budget
        for folder in (finished("bert", "text_files", *MANY_SETTINGS), of_experiment("bert_imdb_full"))
    )
    assert (epochs.unit, epochs.limit, epochs.used) == ("epochs", 2, 2)
    assert (steps.unit, steps.limit, steps.used) == ("steps", 4, 4)


def test_what_is_too_little_for_one_step_is_told(settings: list[str], tmp_path: Path) -> None:
    with refused(UserError, "budget.tokens=5", "16", "optim.batch_size"):
        run(composed(*settings, "method=head", "budget=tokens", "budget.tokens=5"), tmp_path, [])


@pytest.mark.parametrize(
    ("overrides", "culprits"),
    [
        (["budget=tokens", "budget.steps=5"], ("budget.steps=5", "budget.tokens=1e+06")),
        (["budget=seconds", "method=adalora"], ("method=adalora", "budget.seconds", "budget=steps")),
        (["budget=seconds", "method=gradual"], ("method=gradual", "budget.seconds")),
        (["budget=flops", "budget.flops=0"], ("budget.flops=0",)),
    ],
)
def test_what_no_budget_can_be_is_told(overrides: list[str], culprits: tuple[str, ...]) -> None:
    with refused(ConfigError, *culprits):
        composed(*overrides)


def test_new_units_leave_the_hashes_of_other_runs_alone() -> None:
    """A sweep of before goes on: what is null was not there."""
    small, tokens = composed("budget=small"), composed("budget=tokens")
    assert config_hash(small) == config_hash(small.model_copy(update={"search": SearchConfig(name="lr")}))
    assert config_hash(tokens) != config_hash(
        tokens.model_copy(update={"budget": tokens.budget.model_copy(update={"tokens": 5})})
    )
