"""A sweep of November 2026 is read, compared, predicted with and gone on with by today's code: golden/sweep_2026_11."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
import yaml
from safetensors.torch import load_file

from ftlab.comparison import compare
from ftlab.comparison.render.json_file import json_text
from ftlab.comparison.render.markdown import markdown
from ftlab.config.fingerprint import config_hash, determinants, fingerprint
from ftlab.config.run_config import RunConfig, validate
from ftlab.inference.predictor import Predictor
from ftlab.launch.local import LocalExecutor
from ftlab.record import RunRecord, find_records
from ftlab.sweeps.jobs import run_sweep
from tests.fixtures.compose import composed

GOLDEN = Path(__file__).parent / "golden" / "sweep_2026_11"
COMMAND = (
    *(
        "model=hf",
        "model.name=tiny",
        "dataset=text_files",
        "dataset.name=text_files",
        "dataset.source.train=rows.csv",
        "budget=smoke",
    ),
    *("tracker=none", "hardware=cpu", "hardware.threads=1"),
)
STOPPED = ("budget.steps=60", "budget.validations=6", "optim.batch_size=10", "optim.accumulate=2")
RUNS = sorted(path.parent.relative_to(GOLDEN) for path in GOLDEN.glob("*/*/record.json"))
NEW_FIELDS = {  # of records, since then; a record of then gets them as it is read
    *("predicts", "origin", "phases", "generated_tokens", "reference_weight_bytes", "base_folder", "training_plan"),
    *("stage", "row_warnings"),
}
RENAMED_FIELDS = {  # of records, since then: by the old name they are read, by the new one written
    "one_s": "single_example_s",
    "batch_s": "batched_s",
    "merged_one_s": "merged_single_example_s",
    "merged_batch_s": "merged_batched_s",
}

pytestmark = pytest.mark.xdist_group("bench")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(GOLDEN, tmp_path_factory.mktemp("old") / "sweep_2026_11"))


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder as working directory: the runs name their model and rows relative to it."""
    monkeypatch.chdir(folder)
    return folder


def record_in(folder: Path) -> RunRecord:
    ((_, record),) = find_records(folder)
    return record


def config_of(name: Path) -> RunConfig:
    return validate(yaml.safe_load((GOLDEN / name / "config.yaml").read_text(encoding="utf-8")))


def renamed(value: Any) -> Any:
    """Return a record of then with the names of today."""
    if isinstance(value, dict):
        return {RENAMED_FIELDS.get(key, key): renamed(member) for key, member in value.items()}
    return [renamed(member) for member in value] if isinstance(value, list) else value


def without_new_fields(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_new_fields(member) for key, member in value.items() if key not in NEW_FIELDS}
    return [without_new_fields(member) for member in value] if isinstance(value, list) else value


def bare(text: str) -> str:
    """Return a text without case and spaces: predictions hold the first tokens, as the tokenizer puts them together."""
    return "".join(text.lower().split())


def test_there_are_runs_of_every_kind_and_end() -> None:
    records = [record_in(GOLDEN / name) for name in RUNS]
    assert {record.status for record in records} == {"completed", "failed", "interrupted"}
    assert len({record.task for record in records}) == 9


@pytest.mark.parametrize("name", RUNS, ids=str)
def test_a_record_is_read_and_written_with_every_field(name: Path, tmp_path: Path) -> None:
    record_in(GOLDEN / name).write(tmp_path)
    before, after = (json.loads((place / "record.json").read_text()) for place in (GOLDEN / name, tmp_path))
    assert without_new_fields(after) == renamed(before)


@pytest.mark.parametrize("name", RUNS, ids=str)
def test_what_determines_a_run_and_its_fingerprint_are_the_same(name: Path) -> None:
    record, config = record_in(GOLDEN / name), config_of(name)
    assert determinants(config) == record.determinants
    if record.fingerprint is not None:
        identity = fingerprint(config, data_hash=record.data.hash, base_hash=record.base_model["sha256"])
        assert identity == record.fingerprint


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("name", [name for name in RUNS if name.parts[0] != "kinds"], ids=str)
def test_the_same_settings_have_the_same_hash(name: Path) -> None:
    assert config_hash(config_of(name)) == record_in(GOLDEN / name).config_hash


@pytest.mark.parametrize("name", ["sweep", "kinds"])
def test_the_comparison_says_the_same(name: str, update_golden: bool) -> None:
    comparison = compare([GOLDEN / name])
    texts = {"comparison.md": markdown(comparison), "comparison.json": json_text(comparison, GOLDEN / name)}
    for file, text in texts.items():
        if update_golden:
            (GOLDEN / name / file).write_text(text, encoding="utf-8")
        assert text == (GOLDEN / name / file).read_text(encoding="utf-8"), file


def test_what_is_complete_is_kept_and_a_seed_is_added(here: Path) -> None:
    seeds = [composed(*COMMAND, "method=majority", "sweep.dir=sweep", f"seed={seed}") for seed in (0, 1, 2)]
    before = {path: path.stat().st_mtime_ns for path in (here / "sweep").glob("majority*/*") if path.is_file()}
    records = run_sweep(seeds, Path("sweep"), LocalExecutor(1))
    assert [record.status for record in records] == ["completed"] * 3
    assert before == {path: path.stat().st_mtime_ns for path in before}, "a complete run was run again"
    (table,) = compare([here / "sweep"]).tables
    assert {row.method: len(row.runs) for row in table.rows}["majority"] == 3


def test_a_stopped_run_ends_as_the_one_that_was_not(here: Path) -> None:
    config = composed(*COMMAND, *STOPPED, "method=lora", "seed=2", "sweep.dir=stopped", "sweep.checkpoint_s=0")
    (record,) = run_sweep([config], Path("stopped"), LocalExecutor(1))
    (whole,) = (here / "whole").glob("lora-*")
    expected, ended = record_in(whole), here / "stopped" / whole.name
    assert (record.status, record.resumed_at) == ("completed", [25]), record.failure
    cost = record.cost  # the checkpoint has no phases
    assert cost.phases == pytest.approx({"setup": cost.setup_s, "train": cost.train_s, "eval": cost.eval_s})
    for name, metric in expected.metrics["classification"]["test"].items():
        assert record.metrics["classification"]["test"][name].value == pytest.approx(metric.value, rel=1e-4), name
    ours, theirs = (load_file(place / "adapter" / "adapter_model.safetensors") for place in (ended, whole))
    assert set(ours) == set(theirs)
    for name, weight in theirs.items():  # rounding differs between processors
        torch.testing.assert_close(ours[name], weight, rtol=1e-3, atol=1e-5)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("method", ["lora", "full"])
def test_an_old_run_answers_as_it_did(method: str) -> None:
    ((folder, _),) = (
        pair for pair in find_records(Path("sweep")) if pair[0].name.startswith(f"{method}-tiny-text_files-s0")
    )
    wanted = {bare(row["text"]): row["scores"] for row in pq.read_table(folder / "predictions.parquet").to_pylist()}
    with Path("rows.csv").open(encoding="utf-8", newline="") as stream:
        rows = [row["text"] for row in csv.DictReader(stream)]
    texts = [
        next(text for text in rows if bare(text).startswith(shown)) for shown in wanted
    ]  # what the model saw of it
    assert len(texts) >= 10
    for scores, answer in zip(wanted.values(), Predictor(folder).predict(texts), strict=True):
        assert list(answer.scores.values()) == pytest.approx(scores, abs=1e-5)
