"""Errors the user can fix, each one sentence with culprit and remedy; and errors of others within such a sentence."""

import os
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

_WIDTH = 300  # characters of another program's message in a sentence of ours
_ENDS = " .:;,"  # of such a message, which the sentence goes on after


class UserError(Exception):
    """A mistake in the configuration, the data or the environment; shown as one sentence, without a traceback."""


class ConfigError(UserError):
    """The composed configuration is not valid; nothing was started and nothing was written."""


class DataError(UserError):
    """The data cannot be used as it is; the message names file and line if they are known."""


class Failed(UserError):
    """The command was started and did not succeed; it exits with a status of its own, unlike other user errors."""


class Unfinished(Failed):
    """A run stopped for a reason outside it; once that is fixed, the same command resumes it."""


def did_you_mean(wrong: str, choices: Iterable[str]) -> str:
    """Return the end of an error sentence: the closest choice, if one is close, and all choices."""
    names = sorted(choices)
    near = get_close_matches(wrong, names, n=1, cutoff=0.5)
    listed = ", ".join(names)
    return f"did you mean {near[0]}? (choices: {listed})" if near else f"choose one of {listed}"


def reason(
    error: BaseException,
    *,
    named: str | os.PathLike[str] | None = None,
    with_class: bool = False,
    width: int = _WIDTH,
) -> str:
    """Return why something failed, for use within a sentence: one line without a final period, never empty.

    Args:
        error: the exception that the sentence explains; of an OSError the system's words and the file.
        named: file or folder that the sentence names already: it is not repeated, and neither is a file in it.
        with_class: begin with the error's class, as for an error in code that may be the user's.
        width: number of characters after which the message is cut, between two words.
    """
    message, name = clause(_message(error, named), width), type(error).__name__
    if not message:
        return name
    is_bare = isinstance(error, KeyError)  # its message is the key
    return f"{name}: {message}" if with_class or is_bare else message


def clause(text: str, width: int = _WIDTH) -> str:
    """Return a text of another program as a part of a sentence: one line, cut between words, without a final period."""
    line = " ".join(text.split()).rstrip(_ENDS)
    if len(line) <= width:
        return line
    start = line[:width]
    return f"{(start.rpartition(' ')[0] or start).rstrip(_ENDS)} …".lstrip()


def _message(error: BaseException, named: str | os.PathLike[str] | None) -> str:
    if not (isinstance(error, OSError) and isinstance(error.errno, int) and isinstance(error.strerror, str)):
        return str(error)
    if not isinstance(error.filename, str | bytes | os.PathLike):  # none, or a file descriptor
        return error.strerror
    file = os.fsdecode(error.filename)
    if named is not None and Path(file).is_relative_to(os.fsdecode(named)):
        return error.strerror
    return f"{error.strerror}: {file}"
