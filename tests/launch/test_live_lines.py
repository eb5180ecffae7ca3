"""Lines of running jobs: none is wider than the terminal."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from ftlab.launch.live_lines import LiveLines, shorten_middle


def shown(width: int, title: str, parts: list[str], done: int, total: int | None) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    lines = LiveLines(console, lambda: 0.0)
    lines.add("a", title)
    lines.update("a", parts, done=done, total=total)
    with console.capture() as capture:
        console.print(lines._progress.get_renderable())
    (line,) = capture.get().splitlines()
    assert cell_len(line) <= width
    return line


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_long_name_is_shortened_in_its_middle_and_the_state_stays(width: int) -> None:
    title = "[1/12] lora-smollm2_135m-instruction_files-s0-2b95abdf"
    parts = ["training 1200/4000", "0:01:20 left", "loss 0.5312"]
    line = shown(width, title, parts, 1200, 4000)
    assert line.startswith("[1/12] l")
    assert ("…" in line) is (width < 200)
    assert "2b95abdf" in line
    assert "training 1200/4000" in line
    assert ("0:01:20 left" in line, "loss" in line) == (width >= 80, width == 200)
    assert "0:00:00" in line  # since it was added


def test_wide_characters_take_two_cells() -> None:
    shown(60, "[1/2] 微调方法对比实验 学习率=0.001", ["训练"], 1, 2)
    assert cell_len(shorten_middle("微调方法对比实验微调方法", 10)) <= 10
    assert shorten_middle("lora", 10) == "lora"
    assert shorten_middle("abcdefghijk", 7) == "abc…ijk"


def test_brackets_are_no_markup_and_a_total_may_come_and_go() -> None:
    assert "[red]s" in shown(80, "[1/1] [red]s", ["[b]loading"], 0, None)
    line = shown(80, "x", ["testing 3/4"], 3, 4)
    assert "testing 3/4" in line
