"""Composed configurations for tests, the way the command line composes them."""

from typing import Any

from hydra import compose, initialize_config_dir

from ftlab.composition import resolve
from ftlab.paths import conf_dir
from ftlab.schema import RunConfig


def composed(*overrides: str) -> RunConfig:
    """Return the validated configuration of a command line."""
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return resolve(compose("train", overrides=["sweep.name=test", *overrides]))


def as_dict(*overrides: str) -> dict[str, Any]:
    """Return the same as plain values."""
    return composed(*overrides).model_dump(mode="json", by_alias=True)
