"""What determines a run's result, and hashes of it: equal fingerprints mean the same run."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from ftlab.assets import content_sha256
from ftlab.schema import RunConfig

NUMERICS_VERSION = 3  # raise it when a change of ftlab moves results

# Where things lie, how they are shown, how fast they go, what is examined beside: none of it changes a result.
_IRRELEVANT_GROUPS = {"plan", "robustness", "search", "speed", "sweep", "tracker"}
_IRRELEVANT_KEYS = {
    "dataset": {"name", "source", "max_length"},  # the data's hash stands for the first two, the budget for the last
    "model": {"name", "id", "revision", "wheel", "note"},  # the hash of the weights stands for them
    "hardware": {"name", "num_workers", "eval_batch_size", "measure_latency"},
    "method": {"name", "search", "expect", "lr", "lr_by_task", "needs"},  # optim.lr is the rate in force
    "budget": {"name", "oom", "trials"},
}


def determinants(config: RunConfig) -> dict[str, Any]:
    """Return what in the configuration determines the result, contents of data and base model left out.

    Of settings that overrule each other the one in force is there: `budget.max_length` is the length of examples
    even where the data set sets it, and `budget.epochs` is null where another limit decides.
    """
    values = config.model_dump(mode="json", by_alias=True)
    values["budget"]["max_length"] = config.max_length
    if config.budget.limit[0] != "epochs":
        values["budget"]["epochs"] = None
    for unit in ("tokens", "seconds", "flops"):  # left out where null: runs of before they were known stay the same
        if values["budget"][unit] is None:
            del values["budget"][unit]
    _leave_out_what_is_new(values["model"])
    kept: dict[str, Any] = {"seed": values.pop("seed")}
    for group, settings in values.items():
        if group not in _IRRELEVANT_GROUPS:
            left_out = _IRRELEVANT_KEYS.get(group, set())
            kept[group] = {key: value for key, value in settings.items() if key not in left_out}
    if config.method.lr is not None:  # it trains
        speed: dict[str, Any] = {"dropout": config.speed.dropout}
        if config.micro_batch_tokens is not None:  # with dropout, each forward pass draws numbers for its own tokens
            speed["micro_batch_tokens"] = config.micro_batch_tokens
        if config.one_token:
            speed["last_block"] = config.speed.last_block
        kept["speed"] = speed
    for part in kept["dataset"].get("parts", {}).values():  # as of a data set alone, but the length is its own
        del part["name"], part["source"]
    return kept


def _leave_out_what_is_new(model: dict[str, Any]) -> None:
    """Drop a setting that leaves things as they were before it was known: runs of then stay the same."""
    if model["frozen_dropout"]:
        del model["frozen_dropout"]


def config_hash(config: RunConfig) -> str:
    """Return 64 hex digits of SHA-256 over what determines the result, as far as it is known before anything is read.

    Data and base model stand there as the places they come from. Of local files and folders the content counts too,
    of a model's folder so with tokenizer and config.json; of a hub's repository no more than the revision asked for.
    """
    parts = config.dataset.parts
    source = {name: part.source for name, part in parts.items()} if parts else config.dataset.source
    places = {"source": source, "model": config.model.model_dump(mode="json")}
    _leave_out_what_is_new(places["model"])
    local = [*_strings(source), *([] if config.model.wheel else [config.model.reference])]
    contents = {place: _content(place) for place in local if place}
    return _digest({"config": determinants(config), "numerics": NUMERICS_VERSION, "contents": contents, **places})


def fingerprint(config: RunConfig, *, data_hash: str, base_hash: str) -> str:
    """Return the identity of a run: configuration, contents of the data and of the base model, numerics version.

    Args:
        config: counts as its `determinants`.
        data_hash: of the rows in use.
        base_hash: of the base model's weights; its tokenizer and config.json are not covered.
    """
    parts = {"config": determinants(config), "data": data_hash, "base": base_hash, "numerics": NUMERICS_VERSION}
    return _digest(parts)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _strings(part)


def _content(place: str) -> dict[str, str]:
    """Return name -> hash of the file of this path, or of every file in the folder; empty where there is none."""
    with suppress(OSError, RuntimeError):  # unreadable, or no path at all: who reads it will say so
        root = Path(place).expanduser()
        paths = sorted(root.rglob("*")) if root.is_dir() else [root]
        return {str(path.relative_to(root)): content_sha256(path) for path in paths if path.is_file()}
    return {}


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
