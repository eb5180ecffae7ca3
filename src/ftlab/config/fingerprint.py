"""Fingerprint of a run: hash of everything that determines its result. Equal fingerprints mean the same run."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from ftlab.config.kinds import module_of
from ftlab.config.moved import with_original_targets
from ftlab.config.run_config import RunConfig
from ftlab.config.secrets import with_blanks
from ftlab.core import globs
from ftlab.core.downloads import content_sha256
from ftlab.core.file_pairs import paired_files

NUMERICS_VERSION = 3  # raise it when a change of ftlab changes results

# Paths, presentation, comparison, speed and additional evaluation: none of it changes a result.
_IRRELEVANT_GROUPS = {"compare", "plan", "robustness", "search", "speed", "sweep", "tracker"}
_IRRELEVANT_KEYS = {
    "dataset": {"name", "source", "max_length"},  # covered by the data's hash (first two) and by the budget (last)
    "model": {"name", "id", "revision", "wheel", "note"},  # covered by the hash of the weights
    "hardware": {"name", "num_workers", "eval_batch_size", "measure_latency"},
    "method": {"name", "search", "expect", "lr", "lr_by_task", "needs"},  # optim.lr is the rate in use
    "budget": {"name", "oom", "trials"},
}


def determinants(config: RunConfig) -> dict[str, Any]:
    """Return the settings that determine the result, without the contents of data and base model.

    If one setting overrides another, only the effective one is kept: `budget.max_length` is the length of examples
    even if the data set sets it, and `budget.epochs` is null if another limit applies. Secrets are blanked: another
    token is no other run.
    """
    values = with_original_targets(with_blanks(config.model_dump(mode="json", by_alias=True)))
    kinds = values.pop("kinds", [])
    values["budget"]["max_length"] = config.max_length
    if config.budget.limit[0] != "epochs":
        values["budget"]["epochs"] = None
    for unit in ("tokens", "seconds", "flops"):  # left out if null: runs older than these limits keep their hash
        if values["budget"][unit] is None:
            del values["budget"][unit]
    _drop_fields_at_default(values["model"])
    relevant: dict[str, Any] = {"seed": values.pop("seed")}
    for group, settings in values.items():
        if group not in _IRRELEVANT_GROUPS:
            irrelevant = _IRRELEVANT_KEYS.get(group, set())
            relevant[group] = {key: value for key, value in settings.items() if key not in irrelevant}
    if config.method.lr is not None:  # the method trains
        speed: dict[str, Any] = {"dropout": config.speed.dropout}
        if config.micro_batch_tokens is not None:  # it decides which forward pass draws a token's dropout mask
            speed["micro_batch_tokens"] = config.micro_batch_tokens
        if config.cls_only_last_block:
            speed["last_block"] = config.speed.last_block
        relevant["speed"] = speed
    if kinds:  # a user's own; by their modules, whose folder differs from machine to machine
        relevant["kinds"] = sorted(module_of(entry) for entry in kinds)
    for part in relevant["dataset"].get("parts", {}).values():  # as for a single data set, but a part keeps max_length
        del part["name"], part["source"]
    return relevant


def _drop_fields_at_default(model: dict[str, Any]) -> None:
    """Drop later settings that are at their default: runs older than the setting keep their hash."""
    if model["frozen_dropout"]:
        del model["frozen_dropout"]


def config_hash(config: RunConfig) -> str:
    """Return the SHA-256 (64 hex digits) of everything that determines the result and is known before loading.

    Data and base model are identified by their source. For local files and folders the content counts too (in a
    model's folder also tokenizer and config.json); for a hub repository only the configured revision.
    """
    parts = config.dataset.parts
    source = {name: part.source for name, part in parts.items()} if parts else config.dataset.source
    sources = with_blanks({"source": with_original_targets(source), "model": config.model.model_dump(mode="json")})
    _drop_fields_at_default(sources["model"])
    possible_paths = [*_strings(sources["source"]), *([] if config.model.wheel else [config.model.reference])]
    contents = {path: _content(path) for path in possible_paths if path}
    return _digest({"config": determinants(config), "numerics": NUMERICS_VERSION, "contents": contents, **sources})


def fingerprint(config: RunConfig, *, data_hash: str, base_hash: str) -> str:
    """Return the identity of a run: configuration, contents of the data and of the base model, numerics version.

    Args:
        config: only its `determinants` count.
        data_hash: hash of the rows in use.
        base_hash: hash of the base model's weights; its tokenizer and config.json are not covered.
    """
    parts = {"config": determinants(config), "data": data_hash, "base": base_hash, "numerics": NUMERICS_VERSION}
    return _digest(parts)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _strings(part)


def _content(path: str) -> dict[str, str]:
    """Return name -> hash of this file and those of its pair, of every file in this folder, or of a pattern's."""
    with suppress(OSError, RuntimeError, ValueError):  # unreadable, or no path at all: loading it will raise the error
        if globs.is_pattern(path):
            contents = ((match, _content(str(match))) for match in globs.matches(path))
            return {str(match / name): sha256 for match, content in contents for name, sha256 in content.items()}
        root = Path(path).expanduser()
        if not root.is_dir() and (paired := paired_files(root)):  # read too, where one of them is named
            return {file.name: content_sha256(file) for file in (root, *paired)}
        paths = sorted(root.rglob("*")) if root.is_dir() else [root]
        return {str(file.relative_to(root)): content_sha256(file) for file in paths if file.is_file()}
    return {}


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
