"""Errors that are the user's to mend: one sentence that names the culprit and the remedy."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """A mistake in configuration, data or environment; shown as one sentence, without a traceback."""


class ConfigError(UserError):
    """The composed configuration is wrong; nothing was started and nothing was written."""


class DataError(UserError):
    """The data cannot be used as it is; the message names file and line where they are known."""


class Failed(UserError):
    """What was asked for was started, and did not succeed; the command line ends with another status."""


class Unfinished(Failed):
    """A run cannot go on for a reason that lies outside it; once that is mended, the same command goes on with it."""


def did_you_mean(wrong: str, choices: Iterable[str]) -> str:
    """Return the tail of an error sentence: the nearest choice, where there is one, and all choices."""
    known = sorted(choices)
    near = get_close_matches(wrong, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"{hint}(choices: {', '.join(known)})"
