"""Every kind of budget holds, and the record says what was used of it."""

from pathlib import Path

import pytest

from ftlab.errors import ConfigError, UserError
from ftlab.fingerprint import config_hash
from ftlab.groups import SearchConfig
from ftlab.record import RunRecord
from ftlab.run import run
from tests.fixtures.checkpoints import tiny
from tests.fixtures.compose import composed
from tests.rows import classification_csv


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("local")
    classification_csv(folder / "rows.csv")
    data = ["dataset=text_files", f"dataset.source.train={folder / 'rows.csv'}"]
    return ["model=hf", f"model.name={tiny('bert')}", *data, "tracker=none", "hardware=cpu", "budget.max_length=32"]


def _run(settings: list[str], directory: Path, *overrides: str) -> RunRecord:
    record = run(composed(*settings, *overrides), directory, [])
    assert record.status == "completed"
    assert record.budget is not None
    assert record.cost is not None
    return record


def test_a_budget_in_tokens_is_never_exceeded_and_gives_all_methods_the_same_steps(
    settings: list[str], tmp_path: Path
) -> None:
    budget = ("budget=tokens", "budget.tokens=1500", "optim.batch_size=8")
    records = [_run(settings, tmp_path / name, f"method={name}", *budget) for name in ("lora", "head")]
    for record in records:
        assert (record.budget.unit, record.budget.limit) == ("tokens", 1500)
        assert 1500 - 8 * 32 < record.budget.used == record.cost.tokens_seen <= 1500
        assert record.progress.step == record.progress.steps == record.cost.optimizer_steps
    assert len({record.cost.optimizer_steps for record in records}) == 1


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


def test_a_budget_in_seconds_ends_with_a_step(settings: list[str], tmp_path: Path) -> None:
    record = _run(settings, tmp_path, "method=head", "budget=seconds", "budget.seconds=1", "budget.validations=2")
    assert record.budget.unit == "seconds"
    assert record.budget.used == record.cost.train_s >= 1
    assert record.cost.optimizer_steps > 1
    assert record.progress.validated_at == record.progress.step, "the last validation is at the end"
    assert abs(record.progress.steps - record.progress.step) <= 1


@pytest.mark.parametrize("limit", [pytest.param("steps", marks=pytest.mark.slow), "epochs"])
def test_budgets_of_before_say_what_was_used(limit: str, settings: list[str], tmp_path: Path) -> None:
    chosen = {"steps": ("budget=smoke", "budget.steps=2"), "epochs": ("budget=small", "budget.train_rows=16")}[limit]
    record = _run(settings, tmp_path, "method=head", *chosen, "optim.batch_size=8")
    assert (record.budget.unit, record.budget.used) == (limit, record.budget.limit)


def test_a_trial_never_sees_the_test_split(settings: list[str], tmp_path: Path) -> None:
    config = composed(*settings, "method=head", "budget=smoke", "search=lr")
    assert config_hash(config) == config_hash(composed(*settings, "method=head", "budget=smoke"))
    trial = config.model_copy(update={"search": SearchConfig(name="lr", role="trial")})
    record = run(trial, tmp_path, [])
    assert (record.status, record.role) == ("completed", "trial")
    (metrics,) = record.metrics.values()
    assert set(metrics) == {"val"}
    assert record.objective == pytest.approx(metrics["val"]["loss"].value)
    assert record.watched.metric == "val/loss"
    assert {path.name for path in tmp_path.iterdir()} == {"record.json", "metrics.csv"}
    assert "test" not in (tmp_path / "metrics.csv").read_text().splitlines()[0]


def test_what_is_too_little_for_one_step_is_told(settings: list[str], tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"budget\.tokens=5 does not allow one optimizer step of 16 examples, which take"
    ):
        run(composed(*settings, "method=head", "budget=tokens", "budget.tokens=5"), tmp_path, [])


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["budget=tokens", "budget.steps=5"], r"budget\.steps=5 and budget\.tokens=1e\+06 are set: set one of them"),
        (["budget=seconds", "method=adalora"], r"method=adalora plans ahead in optimizer steps, and under budget\.sec"),
        (["budget=seconds", "method=gradual"], r"method=gradual plans ahead in optimizer steps"),
        (["budget=flops", "budget.flops=0"], r"budget\.flops=0 is not valid"),
    ],
)
def test_what_no_budget_can_be_is_told(overrides: list[str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        composed(*overrides)


def test_new_units_leave_the_hashes_of_other_runs_alone() -> None:
    """A sweep of before goes on: what is null was not there."""
    small, tokens = composed("budget=small"), composed("budget=tokens")
    assert config_hash(small) == config_hash(small.model_copy(update={"search": SearchConfig(name="lr")}))
    assert config_hash(tokens) != config_hash(
        tokens.model_copy(update={"budget": tokens.budget.model_copy(update={"tokens": 5})})
    )
