"""Errors the user can fix: each message is one sentence that names the culprit and the remedy."""

from collections.abc import Iterable
from difflib import get_close_matches


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
