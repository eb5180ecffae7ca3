"""On-disk cache of tokenized splits: a second run with the same rows, tokenizer and settings tokenizes nothing.

It is in the folder `tokens` of ftlab's cache, with one subfolder per combination; see `arrow_cache`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from importlib.metadata import version
from itertools import accumulate
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from ftlab.core.downloads import cache_dir
from ftlab.data.encoding.encoded_split import (
    EncodedRows,
    SplitCounter,
    SplitSummary,
    TokenizedSplit,
    empty_split,
    read_split,
    write_split,
)
from ftlab.data.rows import arrow_cache
from ftlab.data.rows.row import Row

ENCODING_VERSION = 3  # increase it when a change of ftlab makes different examples of the same rows

_WORTH_KEEPING = 200_000  # characters; fewer are tokenized within a second

_SOURCES = {
    "loaded": "from the cache",
    "rebuilt": "those in the cache were broken and have been made again",
    "built": "stored in the cache",
}

EncodeSplit = Callable[[str], tuple[Iterable[EncodedRows], SplitCounter]]  # split name -> chunks and their counter


def is_worth_caching(splits: Mapping[str, Iterable[Row]]) -> bool:
    """Return whether tokenizing these rows takes longer than a look into the cache."""
    sizes = (sum(map(len, map(str, row.values.values()))) for rows in splits.values() for row in rows)
    return any(characters >= _WORTH_KEEPING for characters in accumulate(sizes))


def tokenizer_hash(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """Return a hash of everything that decides how a tokenizer encodes a text; None for tokenizers in pure Python."""
    if not tokenizer.is_fast:
        return None
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()  # state of the last call; every call sets both again
    backend.no_padding()
    return arrow_cache.json_sha256(
        {
            "content": backend.to_str(),
            "control": str(tokenizer.special_tokens_map),
            "chat": tokenizer.chat_template,
            "inputs": tokenizer.model_input_names,  # BERT's and DistilBERT's differ only in token_type_ids
        }
    )


def load_or_tokenize(
    splits: Iterable[str], encode_split: EncodeSplit, tokenizer: PreTrainedTokenizerBase, settings: Mapping[str, Any]
) -> tuple[dict[str, TokenizedSplit], str] | None:
    """Return the tokenized splits, mapped from files, and a phrase on where they are from; None if not cacheable.

    Args:
        splits: names of the splits.
        encode_split: encodes the rows of a split; not called for splits that are in the cache.
        tokenizer: part of the cache key.
        settings: the rest of the cache key: hash of the rows, lengths, templates.

    Raises:
        UserError: the cache is not writable.
    """
    max_bytes, hash_of_tokenizer = arrow_cache.max_cache_bytes(), tokenizer_hash(tokenizer)
    if not max_bytes or hash_of_tokenizer is None:
        return None
    versions = {name: version(name) for name in ("transformers", "tokenizers")}
    cache_key = {"version": ENCODING_VERSION, "tokenizer": hash_of_tokenizer, "settings": settings, **versions}
    folder = cache_dir() / "tokens" / arrow_cache.folder_name(cache_key)
    names = list(splits)
    tokenized, outcome = arrow_cache.load_or_build(
        folder,
        max_bytes,
        lambda new_folder: _write(new_folder, names, encode_split),
        lambda complete_folder: _read(complete_folder, names),
    )
    return tokenized, _SOURCES[outcome]


def _write(folder: Path, splits: list[str], encode_split: EncodeSplit) -> None:
    summaries = {split: asdict(write_split(*encode_split(split), folder / f"{split}.arrow")) for split in splits}
    arrow_cache.write_metadata(folder, {"summaries": summaries})


def _read(folder: Path, splits: list[str]) -> dict[str, TokenizedSplit]:
    meta = arrow_cache.read_metadata(folder)
    summaries = {split: SplitSummary(**meta["summaries"][split]) for split in splits}
    files = {split: folder / f"{split}.arrow" for split in splits}
    return {
        split: read_split(files[split], summary) if files[split].name in meta["files"] else empty_split(summary)
        for split, summary in summaries.items()
    }
