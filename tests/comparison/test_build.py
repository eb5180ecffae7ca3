import csv
import json
from pathlib import Path

from ftlab.comparison import compare
from ftlab.comparison.render.csv_file import csv_text
from ftlab.comparison.render.summary import summary_sentences
from ftlab.core.errors import UserError
from ftlab.record import Check, Metric, Progress
from tests.comparison.factory import BASE, LOSS, add_run, demo, showcase
from tests.fixtures.refusals import refused
from tests.fixtures.statements import states


def test_one_seed_per_method_is_one_row_each_sorted_by_the_first_metric(tmp_path: Path) -> None:
    comparison = compare([demo(tmp_path)])
    assert [table.title for table in comparison.tables] == ["bbc_news · minilm"]
    assert [row.label for row in comparison.configurations] == ["full", "lora", "prefix"]
    assert len(comparison.runs) == 3
    assert comparison.failed == ()
    assert comparison.warnings == ()


def test_seeds_are_one_row_and_other_settings_are_another(tmp_path: Path) -> None:
    comparison = compare([showcase(tmp_path)])
    rows = {row.label: row for row in comparison.configurations}
    assert set(rows) == {"full", "lora optim.lr=0.002", "lora optim.lr=0.0005", "prefix", "partial", "head", "ia3"}
    assert all([run.record.seed for run in row.runs] == [0, 1, 2] for row in rows.values())
    assert [run.record.status for run in comparison.failed] == ["failed", "oom"]


def test_a_pruned_run_is_told_and_has_not_failed(tmp_path: Path) -> None:
    demo(tmp_path)
    progress = Progress(step=12, steps=40, loss=1.5, best=1.4)
    add_run(tmp_path, "lora", seed=1, status="pruned", changes={"progress": progress})
    add_run(tmp_path, "lora", seed=2, status="pruned")
    comparison = compare([tmp_path])
    assert comparison.failed == ()
    outcomes = [run.outcome for table in comparison.tables for run in table.unfinished]
    states(outcomes[0], "pruned", "12/40")
    states(outcomes[1], "pruned", "before its first step")
    states(" ".join(summary_sentences(comparison)), "3 of 5 runs completed", "2 pruned")
    pruned = [row for row in csv.DictReader(csv_text(comparison, tmp_path).splitlines()) if row["status"] == "pruned"]
    assert [(row["error"], row["failed_at_step"]) for row in pruned] == [("", "")] * 2


def test_lower_is_better_sorts_upwards_and_rows_without_value_come_last(tmp_path: Path) -> None:
    for method, value in {"lora": 2.0, "full": 1.5, "prefix": None}.items():
        metric = Metric(value=value, n=9, status="ok" if value else "not finite")
        add_run(
            tmp_path,
            method,
            changes={"metrics": {"classification": {"test": {"loss": metric}}}, "columns": LOSS},
        )
    assert [row.label for row in compare([tmp_path]).configurations] == ["full", "lora", "prefix"]


def test_each_dataset_and_model_has_its_own_table(tmp_path: Path) -> None:
    add_run(tmp_path, "lora")
    add_run(tmp_path, "lora", settings={"dataset.name": "ag_news"})
    add_run(tmp_path, "full", settings={"model.name": "gpt2"})
    titles = [table.title for table in compare([tmp_path]).tables]
    assert titles == ["ag_news · minilm", "bbc_news · gpt2", "bbc_news · minilm"]


def test_what_does_not_change_the_result_makes_no_new_configuration(tmp_path: Path) -> None:
    add_run(tmp_path, "lora", seed=0)
    add_run(
        tmp_path, "lora", seed=1, settings={"tracker.name": "none", "sweep.dir": "elsewhere", "budget.name": "mine"}
    )
    add_run(tmp_path, "lora", seed=3, settings={"hardware.num_workers": 2, "dataset.source": {"train": "moved.csv"}})
    add_run(tmp_path, "lora", seed=4, settings={"model.wheel": None, "model.id": "./a/copy", "model.revision": "main"})
    add_run(tmp_path, "lora", seed=5, settings={"dataset.max_length": 64, "budget.max_length": None})
    add_run(tmp_path, "lora", seed=2, settings={"hardware.eval_batch_size": 8, "method.search": {"lr": [1.0]}})
    (row,) = compare([tmp_path]).configurations
    assert row.label == "lora"
    assert len(row.runs) == 6


def test_the_same_seed_again_is_no_second_sample(tmp_path: Path) -> None:
    add_run(tmp_path, "lora", seed=0, accuracy=0.5)
    add_run(tmp_path, "lora", seed=0, accuracy=0.9, name="newest")
    comparison = compare([tmp_path])
    (row,) = comparison.configurations
    assert [run.folder.name for run in row.runs] == ["newest"]
    assert len(comparison.runs) == 2
    states(comparison.warnings[0], "lora", 0)


def test_changed_data_under_the_same_settings_is_told_apart(tmp_path: Path) -> None:
    first = add_run(tmp_path, "lora")
    record = json.loads((first / "record.json").read_text())
    add_run(tmp_path, "lora", changes={"data": record["data"] | {"hash": "ffff0000ffff"}})
    comparison = compare([tmp_path])
    assert {row.label for row in comparison.configurations} == {"lora data=3f2a9c71", "lora data=ffff0000"}
    assert any("3f2a9c71" in text and "ffff0000" in text for text in comparison.warnings)


def test_changed_weights_under_the_same_settings_are_told_apart(tmp_path: Path) -> None:
    add_run(tmp_path, "lora")
    add_run(tmp_path, "lora", changes={"base_model": BASE | {"sha256": "ffff0000ffff"}})
    add_run(tmp_path, "lora", status="failed", changes={"base_model": None})  # before anything was read
    comparison = compare([tmp_path])
    assert {row.label for row in comparison.configurations} == {"lora base=9a3f0d1c", "lora base=ffff0000"}
    assert [run.label for run in comparison.failed] == ["lora"]
    assert any("9a3f0d1c" in text and "ffff0000" in text for text in comparison.warnings)


def test_a_run_found_through_two_folders_counts_once(tmp_path: Path) -> None:
    folder = add_run(tmp_path, "lora")
    assert len(compare([tmp_path, folder, tmp_path / "." / folder.name]).runs) == 1


def test_warnings_of_runs_and_failed_checks_are_told_once(tmp_path: Path) -> None:
    check = Check(status="failed", detail="layer.0 changed")
    bad = {"warnings": ["frozen failed: layer.0 changed", "8 % unknown tokens"], "checks": {"frozen": check}}
    for seed in (0, 1):
        add_run(tmp_path, "lora", seed=seed, changes=bad)
    add_run(tmp_path, "full", changes=bad)
    comparison = compare([tmp_path])
    assert len(comparison.notices) == 2
    states(comparison.notices[0], 1, "frozen failed: layer.0 changed")
    (outcome,) = {run.outcome for run in comparison.runs}
    states(outcome, "completed", "1 failed check")


def test_a_run_whose_saved_weights_are_not_the_trained_ones_has_no_row(tmp_path: Path) -> None:
    """Such runs were recorded as completed until December 2026."""
    add_run(tmp_path, "full")
    bad = {"checks": {"reload": Check(status="failed", detail="largest difference of a logit: 1.5")}}
    add_run(tmp_path, "lora", changes=bad)
    comparison = compare([tmp_path])
    assert [row.label for row in comparison.configurations] == ["full"]
    (failed,) = comparison.failed
    states(failed.outcome, "failed", "ReloadFailed", "1.5")


def test_one_broken_record_does_not_hide_the_others(tmp_path: Path) -> None:
    add_run(tmp_path, "lora")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "record.json").write_text('{"schema_version": 1, "met')
    comparison = compare([tmp_path])
    assert len(comparison.runs) == 1
    states(comparison.notices[0], tmp_path / "broken")
    with refused(UserError, tmp_path / "broken" / "record.json", "JSON"):
        compare([tmp_path / "broken"])


def test_nothing_found_is_told(tmp_path: Path) -> None:
    with refused(UserError, tmp_path, "record.json"):
        compare([tmp_path])
    with refused(UserError, tmp_path / "absent"):
        compare([tmp_path / "absent"])
    with refused(UserError, "folder"):
        compare([])


def test_running_is_neither_a_result_nor_a_failure(tmp_path: Path) -> None:
    add_run(tmp_path, "lora", status="running")
    comparison = compare([tmp_path])
    assert comparison.configurations == comparison.failed == ()
    states(comparison.runs[0].outcome, "running", "node-3", 4711)
