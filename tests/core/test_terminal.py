"""Terminal: characters that would control it are shown, and its end stops nothing."""

import errno
import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from ftlab.core.escapes import escape_controls
from ftlab.core.terminal import Terminal

CONTROLS = ["\x1b", "\x07", "\x08", "\r", "\x00", "\x7f", "\x9b", "\x9d", "\u202e", "\u2066", "\u200f", "\u2028"]


@given(st.text())
def test_nothing_that_controls_is_left_and_all_else_stays(text: str) -> None:
    escaped = escape_controls(text)
    assert not any(control in escaped for control in CONTROLS)
    assert [part for part in escaped.split("\n")] == [escape_controls(part) for part in text.split("\n")]


@pytest.mark.parametrize("text", ["déjà vu, 今天\t\n", "👨‍👩‍👧", "क्‍ष", "a\u00a0b"])  # joiners belong to the word
def test_text_of_any_language_stays(text: str) -> None:
    assert escape_controls(text) == text


@pytest.mark.parametrize("control", CONTROLS)
def test_no_way_of_printing_lets_one_through(control: str) -> None:
    stream, text = io.StringIO(), f"a{control}]0;title\x07b"
    terminal = Terminal(file=stream, width=200, force_terminal=False)
    table = Table(title=Text(text))
    table.add_column(Text(text))
    table.add_row(Text(text))
    terminal.print(table)
    terminal.print(text, markup=False, soft_wrap=True)
    terminal.print(f"[bold]{text}[/]")
    assert control not in stream.getvalue().replace("\n", "") or control == "\n"
    assert stream.getvalue().count("]0;") == 5


def test_styles_still_work() -> None:
    stream = io.StringIO()
    Terminal(file=stream, force_terminal=True, color_system="standard").print(Text("a\x1bb", style="red"))
    assert stream.getvalue() == "\x1b[31ma\\x1bb\x1b[0m\n"


@pytest.mark.parametrize("number", [errno.EPIPE, errno.EIO])
def test_who_prints_goes_on_when_nobody_reads(number: int, tmp_path: Path) -> None:
    class Gone(io.TextIOWrapper):
        def flush(self) -> None:
            raise OSError(number, os.strerror(number))

    with (tmp_path / "out").open("wb") as binary:
        terminal = Terminal(file=Gone(binary))
        for _ in range(2):
            terminal.print("a")
        assert terminal.quiet
        terminal.file.write = None  # nothing is to be flushed when it is collected


def test_another_error_is_none_of_these() -> None:
    class Full(io.StringIO):
        def flush(self) -> None:
            raise OSError(errno.ENOSPC, "full")

    with pytest.raises(OSError, match="full"):
        Terminal(file=Full()).print("a")
