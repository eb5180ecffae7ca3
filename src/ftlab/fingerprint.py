"""What determines a run's result, as a hash: equal fingerprints mean the same run."""

import hashlib
import json
from typing import Any

from ftlab.schema import RunConfig

NUMERICS_VERSION = 1  # raise it when a change of ftlab moves results

# Where things lie, how they are shown, and how fast they go: none of it changes a result.
_IRRELEVANT_GROUPS = {"sweep", "tracker"}
_IRRELEVANT_KEYS = {
    "dataset": {"name", "source"},  # the hash of the data stands for them
    "model": {"name", "id", "revision", "wheel", "note"},  # the hash of the weights stands for them
    "hardware": {"name", "num_workers", "eval_batch_size"},
    "method": {"name", "search", "expect", "lr"},  # optim.lr is the rate in force
    "budget": {"name"},
}


def config_hash(config: RunConfig) -> str:
    """Return 64 hex digits of SHA-256 over what determines the result, as far as the configuration alone can tell.

    Before data and weights are read, the places they come from stand for them.
    """
    places = {"source": config.dataset.source, "model": config.model.model_dump(mode="json")}
    return _digest({"config": _determinants(config), **places})


def fingerprint(config: RunConfig, *, data_hash: str, base_hash: str) -> str:
    """Return the identity of a run: configuration, contents of the data and of the base model, numerics version."""
    parts = {"config": _determinants(config), "data": data_hash, "base": base_hash, "numerics": NUMERICS_VERSION}
    return _digest(parts)


def _determinants(config: RunConfig) -> dict[str, Any]:
    values = config.model_dump(mode="json", by_alias=True)
    kept: dict[str, Any] = {"seed": values.pop("seed")}
    for group, settings in values.items():
        if group not in _IRRELEVANT_GROUPS:
            left_out = _IRRELEVANT_KEYS.get(group, set())
            kept[group] = {key: value for key, value in settings.items() if key not in left_out}
    return kept


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
