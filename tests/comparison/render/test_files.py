"""Markdown, CSV, terminal, and how the files are written."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from ftlab.comparison import compare
from ftlab.comparison.render.csv_file import csv_text
from ftlab.comparison.render.files import write_comparison
from ftlab.comparison.render.markdown import markdown
from ftlab.comparison.render.terminal import terminal_tables
from ftlab.record import CostEstimate, Fit, MemoryEstimate, Perturbed, Robustness, find_records
from tests.comparison.factory import add_run, demo, hostile, showcase
from tests.comparison.families import untested, with_tests
from tests.fixtures.statements import states


def printed(sweep: Path, width: int) -> list[str]:
    console = Console(width=width, force_terminal=False)
    with console.capture() as capture:
        console.print(terminal_tables(untested(compare([sweep]))))
    return capture.get().splitlines()


def test_markdown_is_a_table_with_warnings_command_and_versions(tmp_path: Path) -> None:
    text = markdown(untested(compare([showcase(tmp_path)])))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 7 + 2
    assert len({line.count("|") for line in rows}) == 1
    assert any(line.startswith("1. ") and "max_length" in line for line in text.splitlines())
    assert "```shell\npython train.py -m method=lora,prefix,full\n```" in text
    assert "torch 2.13.0" in text


def test_markdown_lets_no_text_become_markup(tmp_path: Path) -> None:
    text = markdown(untested(compare([hostile(tmp_path)])))
    assert "中文" in text
    for line in text.splitlines():
        assert "<" not in line.replace("\\<", "")
        if line.startswith("| 中"):
            assert "\\<b\\>方法\\</b\\>\\|\\*\\*b\\*\\*" in line
            assert line.replace("\\|", "").count("|") == 10


def test_csv_has_one_row_per_run_in_base_units(tmp_path: Path) -> None:
    sweep = showcase(tmp_path / "sweep")
    rows = list(csv.DictReader(csv_text(compare([sweep]), tmp_path).splitlines()))
    assert len(rows) == 23
    full = next(row for row in rows if row["method"] == "full" and row["seed"] == "0")
    assert 120 < float(full["train_s"]) < 140
    assert int(full["trainable_parameters"]) == 22_861_445
    assert int(full["peak_memory_bytes"]) > 1_000_000_000
    assert full["run"] == "sweep/000_full_seed0"
    failed = next(row for row in rows if row["status"] == "failed")
    assert failed["test_accuracy"] == failed["train_s"] == ""
    assert failed["failed_at_step"] == "37"
    assert failed["error"].startswith("RuntimeError: loss is nan")


def test_csv_has_what_was_examined(tmp_path: Path) -> None:
    showcase(tmp_path / "sweep")
    folder, record = find_records(tmp_path)[0]
    dropped = Perturbed(changed=1, seen=1, metrics={}, drop={record.columns[0].metric: 0.125})
    fit = Fit(train=0.25, val=0.5, gap=0.25, reference=1.6, train_rows=200, verdict="fits")
    record.model_copy(update={"robustness": Robustness(seconds=1, perturbations={"typos": dropped}, fit=fit)}).write(
        folder
    )
    rows = list(csv.DictReader(csv_text(compare([tmp_path]), tmp_path).splitlines()))
    found = [(row["drop_typos"], row["drop_upper"], row["fit_val_loss"], row["fit"]) for row in rows]
    assert ("0.125", "", "0.5", "fits") in found
    assert found.count(("", "", "", "")) == len(rows) - 1


def test_csv_holds_predicted_against_measured(tmp_path: Path) -> None:
    memory = MemoryEstimate(
        weights=91_000_000, gradients=300_000, optimizer=600_000, activations=190_000_000, baseline=0, peak=900_000_000
    )
    predicted = CostEstimate(
        memory_bytes=memory,
        train_s=80.0,
        trainable=295_685,
        total=22_861_445,
        optimizer_steps=100,
        micro_batch_size=16,
        probe_steps=10,
        probe_s=8.0,
    )
    add_run(tmp_path, "lora", changes={"predicted": predicted})
    add_run(tmp_path, "full")
    add_run(tmp_path, "prefix", status="failed", changes={"predicted": predicted})
    rows = {row["method"]: row for row in csv.DictReader(csv_text(compare([tmp_path]), tmp_path).splitlines())}
    planned, unplanned, failed = rows["lora"], rows["full"], rows["prefix"]
    assert float(planned["predicted_train_s"]) == 80
    errors = {"time": ("predicted_train_s", "train_s"), "memory": ("predicted_peak_memory_bytes", "peak_memory_bytes")}
    for name, (guess, truth) in errors.items():
        assert float(planned[f"predicted_{name}_error"]) == pytest.approx(
            float(planned[guess]) / float(planned[truth]) - 1
        )
    assert failed["predicted_train_s"] == "80.0"
    assert unplanned["predicted_time_error"] == failed["predicted_time_error"] == failed["predicted_memory_error"] == ""
    assert planned["latency_single_example_s"] == planned["energy_joules"] == ""


def test_csv_text_is_never_a_formula(tmp_path: Path) -> None:
    rows = list(csv.DictReader(csv_text(compare([hostile(tmp_path)]), tmp_path).splitlines()))
    assert "'=cmd()" in {row["method"] for row in rows}


@pytest.mark.parametrize("width", [60, 80, 100, 140])
@pytest.mark.parametrize("make", [demo, showcase, hostile])
def test_the_terminal_cuts_no_number_at_any_width(tmp_path: Path, width: int, make: Callable[[Path], Path]) -> None:
    lines = printed(make(tmp_path), width)
    assert max(cell_len(line.rstrip()) for line in lines) <= width
    text = "\n".join(lines)
    assert "…" not in text
    if make is showcase:
        assert "0.953 ± 0.004" in text
        assert any("adapter (seed 0)" in line and "37" in line and "RuntimeError" in line for line in lines)


def test_the_demo_fits_a_terminal_of_eighty_characters_as_one_table(tmp_path: Path) -> None:
    assert sum(line.startswith("lora") for line in printed(demo(tmp_path), 80)) == 1


def test_terminal_markup_in_names_is_shown_as_it_is(tmp_path: Path) -> None:
    add_run(tmp_path, "[red]x[/red]", like="lora")
    assert any("[red]x[/red]" in line for line in printed(tmp_path, 140))


def test_write_makes_five_files_and_leaves_nothing_else(tmp_path: Path) -> None:
    sweep = demo(tmp_path / "sweep")
    out = tmp_path / "out" / "deep"
    paths = write_comparison(compare([sweep]), out)
    names = ["comparison.md", "comparison.csv", "comparison.tex", "comparison.json", "report.html"]
    assert [path.name for path in paths] == names
    assert sorted(out.iterdir()) == sorted(paths)
    write_comparison(compare([sweep]), out)  # again, over the old ones
    assert sorted(out.iterdir()) == sorted(paths)


def test_what_cannot_be_written_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = demo(tmp_path)
    (tmp_path / "comparison.md").write_text("old")

    def fail(descriptor: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_comparison(compare([sweep]), tmp_path)
    assert (tmp_path / "comparison.md").read_text() == "old"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("width", [60, 100, 140])
def test_the_terminal_shows_intervals_and_what_the_tests_found(tmp_path: Path, width: int) -> None:
    console = Console(width=width, force_terminal=False)
    with console.capture() as capture:
        console.print(terminal_tables(with_tests(compare([showcase(tmp_path)]))))
    lines = capture.get().splitlines()
    assert max(cell_len(line.rstrip()) for line in lines) <= width
    text = " ".join(" ".join(lines).split())
    assert "[0.940, 0.966]" in text
    states(text, "p = 0.41")
    assert "against" in text
    assert "worse by more" in text


def test_markdown_begins_with_what_the_tests_found(tmp_path: Path) -> None:
    text = markdown(with_tests(compare([showcase(tmp_path)])))
    states(text.splitlines()[2], "lora optim.lr=0.002", "partial", "full", "p = 0.41")
    assert "0.953 \\[0.940, 0.966\\]" in text
