"""Errors of others within sentences of ours: one line each, with what the user needs to know."""

import errno
import json
import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ftlab.core.errors import DataError, clause, reason


def error_of_json(text: str) -> Exception:
    with pytest.raises(ValueError, match="line") as caught:
        json.loads(text)
    return caught.value


def error_of_opening(path: Path | bytes) -> OSError:
    with pytest.raises(OSError, match=r"\[Errno") as caught, open(path):
        pass
    return caught.value


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ValueError("no such thing."), "no such thing"),
        (ValueError("no such thing..."), "no such thing"),
        (ValueError("  first:\n\n\tsecond\r\n"), "first: second"),
        (ValueError("a\u2028b\x85c\x0bd"), "a b c d"),
        (ValueError(), "ValueError"),
        (ValueError("\n ."), "ValueError"),
        (MemoryError(), "MemoryError"),
        (AssertionError(), "AssertionError"),
        (KeyError("model_type"), "KeyError: 'model_type'"),
        (DataError("rows.csv:3: no text: add one."), "rows.csv:3: no text: add one"),
        (error_of_json('{"a": 1,\n "b" 2}'), "Expecting ':' delimiter: line 2 column 6 (char 14)"),
        (OSError("a library's own text"), "a library's own text"),
        (OSError("odd", 3), "[Errno odd] 3"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (OSError(errno.EBADF, "Bad file descriptor", 7), "Bad file descriptor"),
    ],
)
def test_the_reason_is_one_line_without_a_period(error: BaseException, sentence: str) -> None:
    assert reason(error) == sentence


def test_the_class_comes_first_on_request_and_once() -> None:
    assert reason(ValueError("no"), with_class=True) == "ValueError: no"
    assert reason(ValueError(), with_class=True) == "ValueError"
    assert reason(KeyError("a"), with_class=True) == "KeyError: 'a'"


def test_a_file_is_named_unless_the_sentence_does(tmp_path: Path) -> None:
    path = tmp_path / "some" / "file"
    for error in (error_of_opening(path), error_of_opening(os.fsencode(path))):
        words = os.strerror(errno.ENOENT)
        assert reason(error) == f"{words}: {path}"
        assert reason(error, named=path) == reason(error, named=str(path)) == words
        assert reason(error, named=tmp_path) == words, "it lies in the folder that is named"
        assert reason(error, named=tmp_path / "some" / "other") == f"{words}: {path}"
        assert reason(error, named=tmp_path / "so") == f"{words}: {path}", "a folder, not a beginning of its name"


def test_long_texts_end_between_two_words() -> None:
    text = "The weights, of which there are many, do not fit. " * 100
    for width in (37, 38, 49, 60, 300):
        cut = reason(RuntimeError(text), width=width)
        assert cut.endswith(" …")
        assert cut.removesuffix(" …") in text
        assert text.removeprefix(cut.removesuffix(" …"))[0] in " ,."
        assert width / 2 < len(cut) <= width + 2
    assert reason(RuntimeError("x" * 1000), width=100) == "x" * 100 + " …", "a path has no words"
    assert reason(RuntimeError("short enough"), width=len("short enough")) == "short enough"


@given(st.text(st.characters(), max_size=80) | st.text("a .\n\r\x0b\x1c\x85\u2028:…", max_size=80), st.booleans())
@example(" . . ", False)
@example(".a. " * 20, True)
def test_a_reason_fits_into_a_sentence(text: str, with_class: bool) -> None:
    for error in (ValueError(text), OSError(text), OSError(5, text), OSError(5, text, "a\nb."), KeyError(text)):
        for width in (1, 10, 300):
            sentence = reason(error, with_class=with_class, width=width)
            assert sentence
            assert len(sentence.splitlines()) == 1
            assert not sentence.endswith((".", ":", ",", ";", " "))
            assert sentence == sentence.strip()
    assert clause(clause(text)) == clause(text)
