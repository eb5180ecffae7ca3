from pathlib import Path
from typing import Any

import pytest

from ftlab.comparison import compare
from ftlab.comparison.comparability import ALLOW_ALL, MUST_MATCH, parse_allowed, refusals
from ftlab.comparison.tables import Configuration
from ftlab.core.errors import UserError
from ftlab.record import Hardware, read_record
from tests.comparison.factory import BASE, VERSIONS, add_run
from tests.fixtures.refusals import refused
from tests.fixtures.statements import states

GPU = Hardware(
    device="NVIDIA H200",
    accelerator="gpu",
    devices=2,
    precision="bf16-mixed",
    cpu="AMD EPYC 7B13",
    cores=2,
    memory_bytes=8_300_000_000,
)


@pytest.mark.parametrize(
    ("settings", "changes", "expected"),
    [
        ({"budget.max_length": 128}, {}, ["max_length: 64 (lora, prefix); 128 (full)"]),
        ({"optim.batch_size": 32}, {}, ["examples per optimizer step: 16 (lora, prefix); 32 (full)"]),
        ({"budget.epochs": 3}, {}, ["budget: 1 epoch (lora, prefix); 3 epochs (full)"]),
        ({"budget.steps": 500}, {}, ["budget: 1 epoch (lora, prefix); 500 steps (full)"]),
        ({"optim.accumulate": 2}, {}, ["forward passes per optimizer step: 1 (lora, prefix); 2 (full)"]),
        ({"model.dtype": "bfloat16"}, {}, ["dtype of the base model: float32 (lora, prefix); bfloat16 (full)"]),
        ({"optim.group_by_length": True}, {}, ["optim.group_by_length: False (lora, prefix); True (full)"]),
        (
            {"loss.name": "focal", "loss.gamma": 2.0},
            {},
            ["loss: the task's own (lora, prefix); focal gamma=2.0 (full)"],
        ),
        ({"loss.name": "cross_entropy"}, {}, []),
        ({"dataset.loss_on": "all"}, {}, ["dataset.loss_on: response (lora, prefix); all (full)"]),
        ({"dataset.generate.rows": 0}, {}, ["dataset.generate.rows: 16 (lora, prefix); 0 (full)"]),
        (
            {"dataset.template": "Question:\n{{ prompt }} and a long story.\nAnswer:"},
            {},
            ["dataset.template: unset (lora, prefix); Question: {{ prompt }} and a long [...] (c343377d) (full)"],
        ),
        ({"hardware.threads": 1}, {}, ["CPU threads: 2 (lora, prefix); 1 (full)"]),
        (
            {},
            {"base_model": BASE | {"sha256": "77aa"}},
            ["base weights (hash): 9a3f0d1c2b5e (lora, prefix); 77aa (full)"],
        ),
        ({}, {"versions": VERSIONS | {"peft": "0.20.0"}}, ["peft version: 0.21.2 (lora, prefix); 0.20.0 (full)"]),
        (
            {},
            {"hardware": GPU},
            [
                "precision: 32-true (lora, prefix); bf16-mixed (full)",
                "device: AMD EPYC 7B13 (lora, prefix); 2 × NVIDIA H200 (full)",
            ],
        ),
    ],
)
def test_each_difference_is_named_with_its_rows(
    tmp_path: Path, settings: dict[str, Any], changes: dict[str, Any], expected: list[str]
) -> None:
    add_run(tmp_path, "lora", accuracy=0.93)
    add_run(tmp_path, "prefix", accuracy=0.92)
    add_run(tmp_path, "full", accuracy=0.91, settings=settings, changes=changes)
    (table,) = compare([tmp_path]).tables
    assert len(table.warnings) == len(expected)
    for warning, text in zip(table.warnings, expected, strict=True):
        assert text.partition(": ")[2] in warning  # the values, and the rows of each
        if "." in text.partition(": ")[0]:
            states(warning, text.partition(": ")[0])  # the setting
    assert {row.label: row.marks for row in table.rows} == {
        "lora": (),
        "prefix": (),
        "full": tuple(range(1, len(expected) + 1)),
    }


def test_without_a_majority_every_row_is_marked(tmp_path: Path) -> None:
    add_run(tmp_path, "lora")
    add_run(tmp_path, "full", settings={"optim.batch_size": 32})
    (table,) = compare([tmp_path]).tables
    assert [row.marks for row in table.rows] == [(1,), (1,)]


def test_long_lists_of_rows_are_cut_and_counted(tmp_path: Path) -> None:
    for method in ("full", "lora", "partial", "adapter", "prefix"):
        add_run(tmp_path, method)
    add_run(tmp_path, "head", settings={"optim.batch_size": 32})
    (table,) = compare([tmp_path]).tables
    assert "16 (full, lora, adapter and 2 more); 32 (head)" in table.warnings[0]


def test_runs_without_a_result_are_not_held_against_the_rows(tmp_path: Path) -> None:
    add_run(tmp_path, "lora")
    add_run(tmp_path, "full", status="oom", settings={"budget.max_length": 512}, changes={"hardware": GPU})
    assert compare([tmp_path]).warnings == ()


def _rows(folder: Path) -> dict[str, Configuration]:
    (table,) = compare([folder]).tables
    return {row.label: row for row in table.rows}


@pytest.mark.parametrize(
    ("word", "settings"),
    [
        ("length", {"budget.max_length": 32}),
        ("batch", {"optim.batch_size": 32}),
        ("budget", {"budget.epochs": 7}),
        ("base", {"model.dtype": "bfloat16"}),
    ],
)
def test_rows_that_differ_are_refused_unless_that_is_allowed(
    word: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    add_run(tmp_path, "full", curves=False)
    add_run(tmp_path, "lora", settings=settings, curves=False)
    rows = _rows(tmp_path)
    found = refusals(list(rows.values()), rows["full"])
    assert list(found) == ["lora"]
    assert [one.word for one in found["lora"]] == [word]
    assert refusals(list(rows.values()), rows["full"], {word}) == {}
    assert refusals(list(rows.values()), rows["full"], {ALLOW_ALL}) == {}
    assert list(refusals(list(rows.values()), rows["full"], set(MUST_MATCH) - {word})) == ["lora"]


def test_data_versions_device_and_tokens_are_guarded_too(tmp_path: Path) -> None:
    plain = read_record(add_run(tmp_path, "full", curves=False))
    assert plain.data is not None
    assert plain.cost is not None
    changes: dict[str, dict[str, Any]] = {
        "data": {"data": plain.data.model_copy(update={"hash": "f" * 64})},
        "versions": {"versions": {**plain.versions, "torch": "2.6.0"}},
        "tokens": {"cost": plain.cost.model_copy(update={"tokens_seen": plain.cost.tokens_seen // 2})},
    }
    for method, word in zip(("lora", "prefix", "head"), changes, strict=True):
        add_run(tmp_path, method, changes=changes[word], curves=False)
    rows = _rows(tmp_path)
    found = refusals(list(rows.values()), rows["full"])
    assert set(found) == {"lora", "prefix", "head"}
    (one,) = found["prefix"]
    states(one.reason, "torch", "2.6.0", "2.13.0")
    for method, word in zip(("lora", "prefix", "head"), changes, strict=True):
        assert method not in refusals(list(rows.values()), rows["full"], {word})


def test_a_floor_that_never_trains_is_not_refused_for_its_tokens(tmp_path: Path) -> None:
    add_run(tmp_path, "full", curves=False)
    add_run(tmp_path, "zero_shot", curves=False)
    rows = _rows(tmp_path)
    assert "zero_shot" not in refusals(list(rows.values()), rows["full"])


def test_a_refused_row_is_not_tested_and_the_note_says_how_to(tmp_path: Path) -> None:
    for seed in (0, 1, 2):
        add_run(tmp_path, "full", seed=seed, curves=False)
        add_run(tmp_path, "lora", seed=seed, curves=False)
        add_run(tmp_path, "head", seed=seed, settings={"budget.epochs": 7}, curves=False)
    (table,) = compare([tmp_path]).tables
    assert table.family is not None
    tested = {one.row: one.p is not None for one in table.family.contrasts}
    assert tested == {"lora": True, "head": False}
    (note,) = (note for note in table.family.notes if "--allow budget" in note)
    states(note, "head", "full", "7 epochs", "1 epoch")
    (table,) = compare([tmp_path], allow={"budget"}).tables
    assert table.family is not None
    assert all(one.p is not None for one in table.family.contrasts)


def test_words_that_allow_are_checked() -> None:
    assert parse_allowed(["data,budget", "all"]) == {"data", "budget", "all"}
    with refused(UserError, "--allow bugdet", "budget"):
        parse_allowed(["bugdet"])
