"""Markdown, CSV, terminal, and how the files are written."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from ftlab.compare import compare, table, write
from ftlab.compare.csv_file import csv_text
from ftlab.compare.markdown import markdown
from tests.compare.factory import add_run, demo, hostile, showcase


def printed(sweep: Path, width: int) -> list[str]:
    console = Console(width=width, force_terminal=False)
    with console.capture() as capture:
        console.print(table(compare([sweep])))
    return capture.get().splitlines()


def test_markdown_is_a_table_with_warnings_command_and_versions(tmp_path: Path) -> None:
    text = markdown(compare([showcase(tmp_path)]))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 7 + 2
    assert len({line.count("|") for line in rows}) == 1
    assert "1. Warning: the rows differ in max_length" in text
    assert "```shell\npython train.py -m method=lora,prefix,full\n```" in text
    assert "torch 2.13.0" in text
    assert "best method" not in text.lower()


def test_markdown_lets_no_text_become_markup(tmp_path: Path) -> None:
    text = markdown(compare([hostile(tmp_path)]))
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
        assert "adapter (seed 0): failed at step 37: RuntimeError" in text


def test_the_demo_fits_a_terminal_of_eighty_characters_as_one_table(tmp_path: Path) -> None:
    assert sum(line.startswith("lora") for line in printed(demo(tmp_path), 80)) == 1


def test_terminal_markup_in_names_is_shown_as_it_is(tmp_path: Path) -> None:
    add_run(tmp_path, "[red]x[/red]", like="lora")
    assert any("[red]x[/red]" in line for line in printed(tmp_path, 140))


def test_write_makes_three_files_and_leaves_nothing_else(tmp_path: Path) -> None:
    sweep = demo(tmp_path / "sweep")
    out = tmp_path / "out" / "deep"
    paths = write(compare([sweep]), out)
    assert [path.name for path in paths] == ["comparison.md", "comparison.csv", "report.html"]
    assert sorted(out.iterdir()) == sorted(paths)
    write(compare([sweep]), out)  # again, over the old ones
    assert sorted(out.iterdir()) == sorted(paths)


def test_what_cannot_be_written_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = demo(tmp_path)
    (tmp_path / "comparison.md").write_text("old")

    def fail(descriptor: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write(compare([sweep]), tmp_path)
    assert (tmp_path / "comparison.md").read_text() == "old"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
