"""Looks at a sweep: no tests before all declared runs are in, and a mark on seeds that came after tests were seen."""

import json
from pathlib import Path

import pytest
import yaml

from ftlab.comparison import compare
from ftlab.comparison.comparability import UNFINISHED
from ftlab.comparison.looks import LOOKS_FILE
from ftlab.comparison.render.json_file import json_text
from ftlab.comparison.render.markdown import markdown
from ftlab.comparison.tables import Table
from ftlab.core.terminal import Terminal
from ftlab.record.folder import CONFIG
from ftlab.sweeps.report import report_comparison
from tests.comparison.factory import add_run, configuration
from tests.comparison.test_watching import HERE

AFTER = "9999-01-01T00:00:00+00:00"  # later than any look


def sweep(folder: Path, *methods: str, seeds: int = 3) -> Path:
    for method in methods or ("full", "lora"):
        for seed in range(seeds):
            add_run(folder, method, seed=seed)
    return folder


def declare(folder: Path, method: str, seed: int, **names: str) -> Path:
    """Write what a sweep writes for a job before its first one starts."""
    config = configuration(method, 1e-3, seed)
    for group, name in names.items():
        config[group]["name"] = name
    job = folder / f"{method}-waiting-{seed}"
    job.mkdir(parents=True)
    (job / CONFIG).write_text(yaml.safe_dump(config))
    return job


def the_table(folder: Path, **arguments: object) -> Table:
    (table,) = compare([folder], **arguments).tables  # type: ignore[arg-type]
    return table


def look(folder: Path, **arguments: object) -> None:
    comparison = compare([folder], **arguments)  # type: ignore[arg-type]
    report_comparison(comparison, folder, Terminal(quiet=True))


def add_seed(folder: Path, method: str, seed: int) -> None:
    add_run(folder, method, seed=seed, changes={"finished_at": AFTER})


def test_a_finished_sweep_is_tested(tmp_path: Path) -> None:
    table = the_table(sweep(tmp_path))
    assert table.family is not None
    assert not table.untested
    assert not table.warnings


@pytest.mark.parametrize("state", ["running", "interrupted", "timeout", "waiting"])
def test_nothing_is_tested_before_all_declared_runs_are_in(state: str, tmp_path: Path) -> None:
    sweep(tmp_path)
    if state == "waiting":
        declare(tmp_path, "lora", 3)
    else:
        add_run(tmp_path, "lora", seed=3, status=state, changes={"process": HERE} if state == "running" else None)
    table = the_table(tmp_path)
    assert table.family is None
    for part in ("all 7 declared runs", "6 are", f"1 {state}", "10 to 25 %", "--allow unfinished"):
        assert part in table.untested
    assert table.warnings == (table.untested,)
    text = markdown(compare([tmp_path]))
    assert "p = " not in text
    assert "distinguishable" not in text
    assert "groups" not in text
    assert "±" in text, "means are there"
    assert json.loads(json_text(compare([tmp_path]), tmp_path))["tables"][0]["family"] is None
    assert the_table(tmp_path, allow={UNFINISHED}).family is not None


@pytest.mark.parametrize("state", ["failed", "oom", "pruned", "paused"])
def test_a_run_that_has_come_to_its_end_blocks_nothing(state: str, tmp_path: Path) -> None:
    add_run(sweep(tmp_path), "lora", seed=3, status=state)
    assert the_table(tmp_path).family is not None


def test_a_trial_blocks_only_while_it_is_open(tmp_path: Path) -> None:
    sweep(tmp_path)
    add_run(tmp_path, "lora", name="trial-a", changes={"role": "trial"})
    assert the_table(tmp_path).family is not None
    add_run(tmp_path, "lora", name="trial-b", status="interrupted", changes={"role": "trial"})
    assert "all 7 declared runs are in: 6 are" in the_table(tmp_path).untested


def test_only_the_table_of_the_open_run_waits(tmp_path: Path) -> None:
    sweep(tmp_path)
    for method in ("full", "lora"):
        add_run(tmp_path, method, settings={"dataset.name": "other"})
    declare(tmp_path, "lora", 3, dataset="other")
    first, second = compare([tmp_path], reference="lora").tables
    assert (first.family is None, second.family is None) == (False, True)


@pytest.mark.parametrize("text", ["", "a: [", "defaults: [a, b]", "- 1", "dataset: {name: 3}"])
def test_a_file_that_is_no_job_is_not_waited_for(text: str, tmp_path: Path) -> None:
    sweep(tmp_path)
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / CONFIG).write_text(text)
    declare(tmp_path / ".plan", "lora", 3)
    declare(tmp_path / ".ftlab-removed-1", "lora", 4)
    assert the_table(tmp_path).family is not None


def test_a_reference_in_a_table_that_waits_is_no_error(tmp_path: Path) -> None:
    add_run(tmp_path, "lora", seed=1, status="running", changes={"process": HERE})
    sweep(tmp_path)
    assert the_table(tmp_path, reference="prefix").family is None


def test_seeds_that_are_added_after_a_look_are_marked(tmp_path: Path) -> None:
    look(sweep(tmp_path))
    sweep(tmp_path, "prefix")  # a new row is none of the old ones
    for seed in (3, 4, 5):
        add_seed(tmp_path, "lora", seed)
    table = the_table(tmp_path)
    (warning,) = table.warnings
    assert warning.startswith("seeds 3 to 5 of lora came after a comparison of 20")
    assert "10 to 25 %" in warning
    assert {row.label: row.marks for row in table.rows} == {"lora": (1,), "full": (), "prefix": ()}


def test_a_second_look_changes_nothing(tmp_path: Path) -> None:
    look(sweep(tmp_path))
    before = (tmp_path / LOOKS_FILE).stat()
    look(tmp_path)
    assert (tmp_path / LOOKS_FILE).stat().st_mtime_ns == before.st_mtime_ns
    add_seed(tmp_path, "lora", 3)
    look(tmp_path)
    assert the_table(tmp_path).warnings, "the first look counts, however many follow"


def test_a_comparison_without_tests_is_no_look(tmp_path: Path) -> None:
    sweep(tmp_path)
    job = declare(tmp_path, "lora", 3)
    look(tmp_path)
    assert not (tmp_path / LOOKS_FILE).exists()
    (job / CONFIG).unlink()
    look(tmp_path, tests=False)
    assert not (tmp_path / LOOKS_FILE).exists()


def test_what_ran_before_the_look_was_not_added_after_it(tmp_path: Path) -> None:
    """As in another sweep, of which the look knew nothing."""
    look(sweep(tmp_path / "a"))
    for method in ("full", "lora"):
        for seed in (3, 4):
            add_run(tmp_path / "b", method, seed=seed)
    assert not the_table(tmp_path).warnings
    for method in ("full", "lora"):
        add_seed(tmp_path / "b", method, 5)
    (warning,) = the_table(tmp_path).warnings
    assert warning.startswith("seed 5 of ")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"kind": "mine"}', '{"kind": "ftlab-looks", "rows": {"a": 1}}'])
def test_a_file_of_somebody_else_is_left_alone(content: str, tmp_path: Path) -> None:
    sweep(tmp_path)
    (tmp_path / LOOKS_FILE).write_text(content)
    look(tmp_path)
    assert (tmp_path / LOOKS_FILE).read_text() == content
    assert the_table(tmp_path).family is not None


def test_a_folder_that_cannot_be_written_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("ftlab.comparison.looks.write_text", refuse)
    look(sweep(tmp_path))
    assert not (tmp_path / LOOKS_FILE).exists()
