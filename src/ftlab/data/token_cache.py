"""Tokenized data on disk: a second run with the same rows, tokenizer and settings tokenizes nothing.

It lies under `tokens` in ftlab's cache, a folder per combination; see `cache`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from importlib.metadata import version
from itertools import accumulate
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from ftlab.assets import cache_dir
from ftlab.data import cache
from ftlab.data.encoded import Encoded, Summary, Tally, Tokenized, none, read, write
from ftlab.data.rows import Row

ENCODING_VERSION = 1  # raise it when a change of ftlab makes other examples of the same rows

_WORTH_KEEPING = 200_000  # characters; fewer are tokenized in a second

_SAID = {
    "found": "from the cache",
    "mended": "those in the cache were broken and have been made again",
    "stored": "stored in the cache",
}

Portions = Callable[[str], tuple[Iterable[Encoded], Tally]]  # of a split


def worth_keeping(splits: Mapping[str, Iterable[Row]]) -> bool:
    """Return whether tokenizing these rows takes longer than looking whether it has been done."""
    sizes = (sum(map(len, map(str, row.values.values()))) for rows in splits.values() for row in rows)
    return any(so_far >= _WORTH_KEEPING for so_far in accumulate(sizes))


def tokenizer_hash(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """Return a hash of all that decides what a tokenizer makes of a text; None: it does not tell."""
    if not tokenizer.is_fast:
        return None
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()  # left behind by whoever called it last; each call sets them anew
    backend.no_padding()
    return cache.digest(
        {
            "content": backend.to_str(),
            "control": str(tokenizer.special_tokens_map),
            "chat": tokenizer.chat_template,
            "inputs": tokenizer.model_input_names,  # BERT's and DistilBERT's differ in nothing but the segments
        }
    )


def kept(
    splits: Iterable[str], portions: Portions, tokenizer: PreTrainedTokenizerBase, settings: Mapping[str, Any]
) -> tuple[dict[str, Tokenized], str] | None:
    """Return the splits, mapped from files, and a word on where they came from; None: they cannot be kept.

    Args:
        splits: their names.
        portions: tokenizes the rows of a split; not called for what is in the cache.
        tokenizer: part of what an entry is known by.
        settings: the rest of it: hash of the rows, lengths, templates.

    Raises:
        UserError: the cache cannot be written.
    """
    most, by = cache.bound(), tokenizer_hash(tokenizer)
    if not most or by is None:
        return None
    versions = {name: version(name) for name in ("transformers", "tokenizers")}
    known_by = {"version": ENCODING_VERSION, "tokenizer": by, "settings": settings, **versions}
    folder = cache_dir() / "tokens" / cache.name(known_by)
    names = list(splits)
    tokenized, how = cache.kept(
        folder, most, lambda partial: _write(partial, names, portions), lambda whole: _read(whole, names)
    )
    return tokenized, _SAID[how]


def _write(folder: Path, splits: list[str], portions: Portions) -> None:
    summaries = {split: asdict(write(*portions(split), folder / f"{split}.arrow")) for split in splits}
    cache.seal(folder, {"summaries": summaries})


def _read(folder: Path, splits: list[str]) -> dict[str, Tokenized]:
    meta = cache.unsealed(folder)
    summaries = {split: Summary(**meta["summaries"][split]) for split in splits}
    files = {split: folder / f"{split}.arrow" for split in splits}
    return {
        split: read(files[split], summary) if files[split].name in meta["sizes"] else none(summary)
        for split, summary in summaries.items()
    }
