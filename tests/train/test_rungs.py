"""Rungs: a run that pauses, and goes on from its checkpoint as if it had not."""

import csv
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from ftlab.config.fingerprint import config_hash
from ftlab.core.errors import ConfigError, UserError
from ftlab.inference.finished_run import read_run
from ftlab.record import RunRecord
from ftlab.record.checkpoints import FOLDER, resume_points
from ftlab.train.callbacks.resume import ResumePoints
from ftlab.train.run import run
from tests.fixtures.compose import composed
from tests.fixtures.finished_runs import proven, settings_for
from tests.fixtures.refusals import refused

SETTINGS = (
    *("method=lora", "optim.lr=0.01", "optim.schedule=cosine", "optim.accumulate=2", "model.dropout=0.3"),
    *("budget.steps=20", "budget.validations=5"),
)

pytestmark = pytest.mark.filterwarnings("ignore:Checkpoint directory")  # Lightning finds those of the rung before


def run_to(rung: float | None, folder: Path, *overrides: str) -> RunRecord:
    rungs = [] if rung is None else [f"search.rung={rung}"]
    return run(composed(*settings_for("bert", "text_files"), *SETTINGS, *overrides, *rungs), folder, [])


def validations(folder: Path) -> list[tuple[str, str]]:
    with (folder / "metrics.csv").open(encoding="utf-8", newline="") as stream:
        return [(row["step"], row["val/loss"]) for row in csv.DictReader(stream) if row["val/loss"]]


def test_a_run_in_three_rungs_ends_as_one_that_never_paused(tmp_path: Path) -> None:
    whole = proven(run_to(None, tmp_path / "whole"))
    folder = tmp_path / "rungs"
    first = run_to(0.3, folder)  # 6 steps; the next validation is that of step 8
    assert (first.status, first.failure, first.progress.step, first.progress.validated_at) == ("paused", None, 8, 8)
    assert first.objective == first.metrics["classification"]["val"]["loss"].value
    assert "test" not in first.metrics["classification"]
    assert first.cost.optimizer_steps == 8
    assert first.cost.train_s > 0
    assert first.cost.eval_s > 0
    parts = first.cost.setup_s + first.cost.train_s + first.cost.eval_s
    assert sum(first.cost.phases.values()) == pytest.approx(parts, abs=1e-9)
    assert not (folder / "predictions.parquet").exists()
    assert next(point.step for point in resume_points(folder / FOLDER)) == 8
    assert first.finished_at is not None
    second = run_to(0.6, folder)
    assert (second.status, second.progress.step, second.resumed_at) == ("paused", 12, [8])
    assert second.cost.train_s > first.cost.train_s
    last = proven(run_to(None, folder))
    assert last.resumed_at == [8, 12]
    assert {first.config_hash, second.config_hash, last.config_hash} == {whole.config_hash}
    assert last.fingerprint == whole.fingerprint
    assert last.metrics == whole.metrics
    assert last.cost.tokens_seen == whole.cost.tokens_seen
    assert validations(folder) == validations(tmp_path / "whole")
    assert not (folder / FOLDER).exists()
    tables = [pq.read_table(place / "predictions.parquet") for place in (folder, tmp_path / "whole")]
    assert tables[0] == tables[1]
    (ours,), (theirs,) = ([*(place / "adapter").glob("*.safetensors")] for place in (folder, tmp_path / "whole"))
    weights, expected = load_file(ours), load_file(theirs)
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def test_a_run_that_was_killed_at_the_end_of_its_rung_pauses_there_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = ResumePoints._save

    def save_and_die(points: ResumePoints, trainer: Any) -> None:
        save(points, trainer)
        raise KeyboardInterrupt

    monkeypatch.setattr(ResumePoints, "_save", save_and_die)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        run_to(0.3, tmp_path)
    monkeypatch.setattr(ResumePoints, "_save", save)
    again = run_to(0.3, tmp_path)
    assert (again.status, again.progress.step, again.resumed_at) == ("paused", 8, [8])


def test_a_paused_run_has_no_model_yet(tmp_path: Path) -> None:
    assert run_to(0.01, tmp_path).progress.step == 4, "the first validation"
    with pytest.raises(Exception, match="paused"):
        read_run(tmp_path)


def test_a_rung_without_a_validation_before_the_end_pauses_nothing_and_says_so(tmp_path: Path) -> None:
    record = proven(run_to(0.81, tmp_path))  # the validation after 17 of 20 steps is the last one
    assert [text for text in record.warnings if "search.rung=0.81" in text]


def test_what_trains_nothing_has_no_rungs(tmp_path: Path) -> None:
    assert proven(run_to(0.3, tmp_path, "method=majority", "optim.lr=null")).progress.step == 0


def test_a_rung_is_no_part_of_what_a_run_is() -> None:
    plain, paused = composed(*SETTINGS), composed(*SETTINGS, "search.rung=0.5")
    assert config_hash(plain) == config_hash(paused)
    assert "rung" not in plain.model_dump(mode="json")["search"]
    assert paused.model_dump(mode="json")["search"]["rung"] == 0.5


@pytest.mark.parametrize(
    ("settings", "culprits"),
    [
        (("search.rung=1.5",), ("search.rung", "1.5")),
        (("search.rung=0",), ("search.rung",)),
        (("search.rung=1",), ("search.rung",)),
        (("search.rung=nan",), ("search.rung",)),
        (("search.rung=0.5", "budget=seconds"), ("search.rung", "budget.seconds")),
        (("search.rung=0.5", "search=lr"), ("search.rung", "search=lr")),
    ],
)
def test_what_cannot_be(settings: tuple[str, ...], culprits: tuple[str, ...]) -> None:
    with refused(ConfigError, *culprits):
        composed(*settings)


def test_a_run_whose_rows_are_others_now_does_not_go_on(tmp_path: Path) -> None:
    record = run_to(0.3, tmp_path)
    assert record.data is not None
    record.model_copy(update={"data": record.data.model_copy(update={"hash": "0" * 64})}).write(tmp_path)
    with refused(UserError, str(tmp_path / FOLDER), "sweep.name"):
        run_to(None, tmp_path)
    assert resume_points(tmp_path / FOLDER)
