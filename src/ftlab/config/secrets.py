"""Secrets among settings (keys such as `hf_token`, `api_key`, `password`): blanked in whatever is written of a run."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

BLANK = "***"
_REMEMBERED: set[str] = set()
Path = tuple[str | int, ...]

# fmt: off
_SECRET_WORDS = frozenset((
    "secret", "secrets", "password", "passwords", "passwd", "passphrase", "pwd", "credential", "credentials",
))
_LAST_WORDS = frozenset(("token", "key", "apikey", "bearer", "authorization"))  # `max_tokens` is another setting
# Words before `token` or `key` with which a model's or a data set's setting is meant.
_HARMLESS = frozenset((
    "bos", "eos", "pad", "unk", "sep", "cls", "mask", "start", "end", "special", "image", "audio", "video", "per",
    "next", "first", "last", "virtual", "prefix", "loss", "label", "text", "prompt", "response", "input", "output",
    "target", "source", "id", "sort", "group", "primary", "foreign", "cache", "public", "config", "record", "row",
    "column", "feature", "field", "join", "data", "search", "dict", "json", "query", "attention", "pooled",
))
# fmt: on
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_NUMBER = re.compile(r"-?\d+")
_NO_SECRETS = frozenset(("PWD",))  # environment variables that are named like one; this is the working directory
_REFERENCE = re.compile(r"\$\{.*\}")  # as ${oc.env:HF_TOKEN}: names a secret, and is none
_PASSWORD_IN_URL = re.compile(r"(?<=://)([^\s/:@\[\]]*):[^\s/@]+@")
_BLANKED_URL = re.compile(rf"://[^\s/:@]*:{re.escape(BLANK)}@")
_PAIR = re.compile(
    r"""(?P<key>[\w.\-/]+)(?P<sign>["']?\s*[=:]\s*)(?P<value>'[^']*'|"[^"]*"|\$\{[^}]*\}|[^\s,;&?={}()\[\]"']+)"""
)
_MIN_LENGTH = 6  # characters of a value that is blanked wherever it stands; shorter ones are words of any text


def is_secret_key(key: str) -> bool:
    """Return whether the last part of a key names a secret: `tracker.api_key` does, `budget.tokens` does not."""
    words = _words(key)
    if _SECRET_WORDS & {*words}:
        return True
    return bool(words) and words[-1] in _LAST_WORDS and not (len(words) > 1 and words[-2] in _HARMLESS)


def with_blanks(values: Any) -> Any:
    """Return nested settings with every secret blanked."""
    for path in secrets_in(values):
        values = _replaced(values, path, None)
    return values


def secrets_in(values: Any) -> dict[Path, Any]:
    """Return the secrets among nested settings: path -> value."""
    return dict(_secrets(values, ()))


def with_secrets(values: Any, secrets: Mapping[Path, Any]) -> Any:
    """Return settings of which `with_blanks` has blanked these secrets with them in their places."""
    for path, secret in secrets.items():
        values = _replaced(values, path, secret)
    return values


def blanked_keys(values: Any) -> list[str]:
    """Return the dotted keys of settings that `with_blanks` has blanked."""
    return [
        ".".join(map(str, path))
        for path, value in _leaves(values, ())
        if isinstance(value, str) and ((value == BLANK and is_secret_key(_key(path))) or _BLANKED_URL.search(value))
    ]


def blank_word(word: str) -> str:
    """Return a word of a command line with its secrets blanked: `KEY=VALUE`, or several of them within the value."""
    key, sign, value = word.partition("=")
    if sign and _is_secret(key, value):
        return f"{key}={BLANK}"
    return _PASSWORD_IN_URL.sub(_blank_password, _PAIR.sub(_blank_pair, word))


def remember_secrets(secrets: Iterable[Any]) -> None:
    """Have `blank_text` blank these in this process, besides those in environment variables."""
    _REMEMBERED.update(str(secret) for secret in secrets)


def blank_text(text: str) -> str:
    """Return a text of a program, such as an error, with this process's secrets and passwords in URLs blanked."""
    in_environment = {value for name, value in os.environ.items() if is_secret_key(name) and name not in _NO_SECRETS}
    for secret in sorted(_REMEMBERED | in_environment, key=len, reverse=True):
        if len(secret) >= _MIN_LENGTH:
            text = text.replace(secret, BLANK)
    return _PASSWORD_IN_URL.sub(_blank_password, text)


def _secrets(values: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    for place, value in _leaves(values, path):
        if _is_secret(_key(place), value) or (isinstance(value, str) and _PASSWORD_IN_URL.search(value)):
            yield place, value


def _words(key: str) -> list[str]:
    """Return the words of the last part of a key, in lower case."""
    return [word.lower() for word in _WORD.findall(re.split(r"[./]", key)[-1])]


def _key(path: Path) -> str:
    return next((part for part in reversed(path) if isinstance(part, str)), "")


def _leaves(values: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(values, Mapping):
        for key, value in values.items():
            yield from _leaves(value, (*path, key))
    elif isinstance(values, list | tuple):
        for number, value in enumerate(values):
            yield from _leaves(value, (*path, number))
    else:
        yield path, values


def _is_secret(key: str, value: Any) -> bool:
    """Return whether a setting is a secret; a number under a mere `key` is a layer's: `rank_pattern: {key: 8}`."""
    if not is_secret_key(key) or isinstance(value, bool):
        return False
    if len(_words(key)) == 1 and _words(key)[0] in _LAST_WORDS and _NUMBER.fullmatch(str(value)):
        return False
    if isinstance(value, str):
        return value not in ("", "null", BLANK) and not _REFERENCE.fullmatch(value)
    return isinstance(value, int)


def _replaced(values: Any, path: Path, secret: Any) -> Any:
    """Return nested settings with a secret at a path, None: blanked; the given ones stay as they are."""
    if not path:
        if secret is not None:
            return secret
        is_url = isinstance(values, str) and _PASSWORD_IN_URL.search(values)
        return _PASSWORD_IN_URL.sub(_blank_password, values) if is_url else BLANK
    first, rest = path[0], path[1:]
    if isinstance(values, Mapping):
        return {key: _replaced(value, rest, secret) if key == first else value for key, value in values.items()}
    return [_replaced(value, rest, secret) if number == first else value for number, value in enumerate(values)]


def _blank_pair(match: re.Match[str]) -> str:
    is_secret = _is_secret(match["key"], match["value"].strip("'\""))
    return f"{match['key']}{match['sign']}{BLANK if is_secret else match['value']}"


def _blank_password(match: re.Match[str]) -> str:
    return f"{match[1]}:{BLANK}@"
