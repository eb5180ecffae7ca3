"""Command that reproduces one row of a table: the sweep's command, narrowed to the values of that row."""

import re
import shlex
from collections.abc import Sequence
from typing import Any

from ftlab.comparison.settings import flatten_config
from ftlab.comparison.tables import ComparedRun, Configuration

_SWEPT = re.compile(r"^[\w./@-]+=(?!.*\()(?=.*,)")  # KEY=a,b, but not range(), choice() or interval()
_FLAGS = ("-m", "--multirun")


def reproduce_command(row: Configuration) -> str | None:
    """Return the command line of a row with all its seeds; None if the sweep's command cannot be narrowed for sure.

    A sweep's command has lists, such as `method=lora,full`. Of each list, the row's value is kept if it is in the list.
    """
    commands = {command for run in row.runs if (command := tuple(run.record.command))}
    if len(commands) != 1:
        return None
    words = list(commands.pop())
    if not any(flag in words for flag in _FLAGS):
        return shlex.join(words) if len(row.runs) == 1 else None
    seeds = ",".join(str(run.record.seed) for run in row.runs)
    flat = flatten_config(row.runs[0].record.config)
    kept: list[str] = []
    for word in words:
        if word in _FLAGS:
            continue
        if "sweeper" in word or "(" in word.partition("=")[2] or "*" in word:
            return None  # a search chose the values: they are in the record, not in the command
        key, _, value = word.partition("=")
        if not _SWEPT.match(word) or len(choices := _split_list(value)) < 2:
            kept.append(word)
            continue
        if key == "seed":
            kept.append(f"seed={seeds}")
            continue
        choice = _used_choice(key, flat, choices)
        if choice is None:
            return None
        kept.append(f"{key}={choice}")
    program = next((index for index, word in enumerate(kept) if word.endswith(".py") or word == "train"), 0)
    if "," in seeds:
        kept.insert(program + 1, "-m")
    return shlex.join(kept)


def typed_commands(runs: Sequence[ComparedRun]) -> list[str]:
    """Return the distinct commands of these runs, as they were typed."""
    return list(dict.fromkeys(shlex.join(run.record.command) for run in runs if run.record.command))


def _used_choice(key: str, flat: dict[str, Any], choices: Sequence[str]) -> str | None:
    """Return the choice that the run used; None if none of them matches its configuration."""
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


def _split_list(value: str) -> list[str]:
    """Split at the commas outside brackets and quotes."""
    parts, depth, quote = [""], 0, ""
    for character in value:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        else:
            depth += (character in "[{(") - (character in ")}]")
        if character == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += character
    return parts
