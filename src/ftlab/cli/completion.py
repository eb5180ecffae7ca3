"""Completion of overrides and flags of `ftlab train` and `ftlab data`. Imports no torch and composes nothing."""

import os
from collections.abc import Iterator, Sequence
from itertools import pairwise
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import typer
from pydantic import BaseModel

from ftlab.cli.choices import ConfFolders
from ftlab.cli.flags import CONFIGS, TOPICS, flag_help
from ftlab.cli.user_conf import find_user_conf
from ftlab.config.paths import conf_dir
from ftlab.config.run_config import RunConfig
from ftlab.core.errors import ConfigError

_FLAG_VALUES: dict[tuple[str, ...], Sequence[str]] = {
    ("--cfg", "-c"): CONFIGS,
    ("--info", "-i"): TOPICS,
    ("--config-dir", "-cd", "--config-path", "-cp", "--config-name", "-cn", "--package", "-p"): (),  # the shell's files
}
_BASH_BREAKS = ("=", "@")  # characters at which bash splits a word: COMP_WORDBREAKS


class Candidate(NamedTuple):
    """Completion of a word: a tuple for typer's arguments, and an object with these attributes for its commands."""

    value: str
    help: str = ""
    type: str = "plain"


def complete_overrides(context: typer.Context, incomplete: str) -> list[Candidate]:
    """Return the candidates for typer, whose `incomplete` is what the shell takes for the current word."""
    current = _word_of_bash() or incomplete
    *words, word = joined([*(context.params.get("overrides") or []), current])
    before = len(word) - len(incomplete)  # bash replaces the part behind the last `=` only
    return [match._replace(value=match.value[before:]) for match in candidates(words, word)]


def complete_flags(incomplete: str) -> list[Candidate]:
    """Return the flags that begin with this."""
    return [Candidate(flag, text) for flag, text in sorted(flag_help().items()) if flag.startswith(incomplete)]


def candidates(words: Sequence[str], word: str) -> list[Candidate]:
    """Return the completions of a word of the command line.

    Where a single key fits, its values follow it at once: a shell would set a space behind `method=`.

    Args:
        words: the words before it.
        word: beginning of a flag or of an override; in a list, the last item is completed.
    """
    for flags, values in _FLAG_VALUES.items():
        if words and words[-1] in flags:
            return [Candidate(value) for value in values if value.startswith(word)]
    if word.startswith("-"):
        return complete_flags(word)
    folders = _folders(words)
    sign = word[: len(word) - len(word.lstrip("+~"))]
    bare = word.removeprefix(sign)
    overrides = [other.lstrip("+~").partition("=") for other in words if "=" in other and not other.startswith("-")]
    choices = {key: value.split(",") for key, _, value in overrides if key in folders.groups}
    settings = folders.settings(choices)
    if "=" in bare:
        matches = _values(bare, folders, settings)
    else:
        matches = [key for key in _keys(bare, folders, settings) if key.value.startswith(bare)]
        if sign == "~":  # deletes the key, whatever its value
            return [match._replace(value=f"~{match.value.removesuffix('=')}") for match in matches]
        while len(matches) == 1 and (following := _following(matches[0].value, folders, settings)):
            matches = following
    return [match._replace(value=f"{sign}{match.value}") for match in matches]


def joined(pieces: Sequence[str]) -> list[str]:
    """Return the words of a command line whose words bash has split at `=` and `@`."""
    words: list[str] = []
    glued = False
    for piece in pieces:
        if words and (glued or piece in _BASH_BREAKS):
            words[-1] += piece
        else:
            words.append(piece)
        glued = piece in _BASH_BREAKS
    return words


def _word_of_bash() -> str | None:
    """Return the current word if it is one of bash's separators, which typer takes for an empty word."""
    words, number = os.environ.get("COMP_WORDS", "").split("\n"), os.environ.get("COMP_CWORD", "")
    word = words[int(number)] if number.isdigit() and int(number) < len(words) else ""
    return word if word in _BASH_BREAKS else None


def _folders(words: Sequence[str]) -> ConfFolders:
    """Return ftlab's folder and the user's; none of the user's if it cannot be used, which training will explain."""
    config_dir = None
    for flag, value in pairwise([*words, ""]):
        if flag in ("--config-dir", "-cd"):
            config_dir = value
        elif flag.startswith("--config-dir="):
            config_dir = flag.partition("=")[2]
    try:
        user_conf = find_user_conf(config_dir)
    except (ConfigError, OSError):
        user_conf = None
    return ConfFolders([conf_dir(), *([user_conf.path] if user_conf else [])])


def _keys(word: str, folders: ConfFolders, settings: dict[str, Any]) -> Iterator[Candidate]:
    """Yield groups and settings, `method=`, `seed=`, `sweep.`; after a dot, the settings of what stands before it."""
    prefix, dot, _ = word.rpartition(".")
    if not dot:
        for group, choices in folders.groups.items():
            yield Candidate(f"{group}=", f"{len(choices)} choices")
    node: Any = settings
    for part in prefix.split(".") if dot else []:
        node = node.get(part) if isinstance(node, dict) else None
    for key, value in node.items() if isinstance(node, dict) else []:
        if dot or key not in folders.groups:
            if isinstance(value, dict) and value:
                yield Candidate(f"{prefix}{dot}{key}.")
            else:
                yield Candidate(f"{prefix}{dot}{key}=", f"default: {_text(value)}")


def _following(key: str, folders: ConfFolders, settings: dict[str, Any]) -> list[Candidate]:
    """Return what may follow the only key that fits, with the key itself where its values are free."""
    if key.endswith("."):
        return list(_keys(key, folders, settings))
    if not key.endswith("="):
        return []
    values = _values(key, folders, settings)
    return values if key[:-1] in folders.groups else [Candidate(key), *(values or [Candidate(f"{key}VALUE")])]


def _values(word: str, folders: ConfFolders, settings: dict[str, Any]) -> list[Candidate]:
    """Return the values of a key: choices of a group, also in lists; else the default and the values of its type."""
    key, _, value = word.partition("=")
    chosen, comma, last = value.rpartition(",")
    group = key.partition("@")[0]
    if group in folders.groups:
        values = {name: text for name, text in folders.groups[group].items() if name not in chosen.split(",")}
    else:
        node: Any = settings
        for part in key.split("."):
            node = node.get(part) if isinstance(node, dict) else None
        default = [] if node is None or isinstance(node, dict | list) or "$" in str(node) else [_text(node)]
        values = {**dict.fromkeys([*default, *_typed_values(key)], ""), **dict.fromkeys(default, "default")}
    return [Candidate(f"{key}={chosen}{comma}{name}", text) for name, text in values.items() if name.startswith(last)]


def _typed_values(key: str) -> list[str]:
    """Return the values that the type of a setting lists: those of a Literal, true and false, null."""
    annotation: Any = RunConfig
    for part in key.split("."):
        is_group = isinstance(annotation, type) and issubclass(annotation, BaseModel)
        if not is_group or part not in annotation.model_fields:
            return []
        annotation = annotation.model_fields[part].annotation
    return list(_listed(annotation))


def _listed(annotation: Any) -> Iterator[str]:
    if annotation is bool:
        yield from ("true", "false")
    elif annotation is NoneType:
        yield "null"
    elif get_origin(annotation) is Literal:
        yield from map(_text, get_args(annotation))
    elif get_origin(annotation) in (Union, UnionType):
        for part in get_args(annotation):
            yield from _listed(part)
    elif get_origin(annotation) is Annotated:
        yield from _listed(get_args(annotation)[0])


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return str(value)
