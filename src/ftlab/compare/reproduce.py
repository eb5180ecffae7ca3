"""The command that makes one row of a table again: the sweep's own, narrowed to what the row took of it."""

import re
import shlex
from collections.abc import Sequence
from typing import Any

from ftlab.compare.comparison import Configuration, Run
from ftlab.compare.settings import flatten

_SWEPT = re.compile(r"^[\w./@-]+=(?!.*\()(?=.*,)")  # KEY=a,b; range(), choice() and interval() stay as they are
_FLAGS = ("-m", "--multirun")


def command(row: Configuration) -> str | None:
    """Return the command line of a row, all its seeds at once; None where the sweep's cannot be narrowed for sure.

    A sweep's command names lists, as `method=lora,full`. Of each the row's own value is kept, if it stands in the list.
    """
    lines = {line for run in row.runs if (line := tuple(run.record.command))}
    if len(lines) != 1:
        return None
    words = list(lines.pop())
    if not any(flag in words for flag in _FLAGS):
        return shlex.join(words) if len(row.runs) == 1 else None
    seeds = ",".join(str(run.record.seed) for run in row.runs)
    flat = flatten(row.runs[0].record.config)
    kept: list[str] = []
    for word in words:
        if word in _FLAGS:
            continue
        if "sweeper" in word or "(" in word.partition("=")[2] or "*" in word:
            return None  # a search chose the values: the record has them, the command has not
        key, _, value = word.partition("=")
        if not _SWEPT.match(word) or len(choices := _split(value)) < 2:
            kept.append(word)
            continue
        if key == "seed":
            kept.append(f"seed={seeds}")
            continue
        own = _taken(key, flat, choices)
        if own is None:
            return None
        kept.append(f"{key}={own}")
    place = 1 + next((index for index, word in enumerate(kept) if word.endswith(".py") or word == "train"), 0)
    if "," in seeds:
        kept.insert(place, "-m")
    return shlex.join(kept)


def typed(runs: Sequence[Run]) -> list[str]:
    """Return the distinct commands behind these runs as they were typed."""
    return list(dict.fromkeys(shlex.join(run.record.command) for run in runs if run.record.command))


def _taken(key: str, flat: dict[str, Any], choices: Sequence[str]) -> str | None:
    """Return which of the choices the run took; None where that cannot be told."""
    value = flat.get(f"{key}.name", flat.get(key.removeprefix("+")))
    for choice in choices:
        if choice == str(value) or (_number(choice) is not None and _number(choice) == _number(str(value))):
            return choice
    return None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _split(value: str) -> list[str]:
    """Split at the commas that stand in no bracket and no quotes."""
    parts, depth, quote = [""], 0, ""
    for sign in value:
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        else:
            depth += (sign in "[{(") - (sign in ")}]")
        if sign == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += sign
    return parts
