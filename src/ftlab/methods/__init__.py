"""Tuning methods: conf/method is the registry, this package holds the code behind it."""

import warnings
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate

from ftlab.errors import ConfigError
from ftlab.groups import MethodConfig
from ftlab.methods.base import TuningMethod


def build(config: MethodConfig) -> TuningMethod:
    """Return the method that `_target_` names, made with every key that ftlab does not read itself.

    Raises:
        ConfigError: the target cannot be imported, or refuses its arguments.
    """
    arguments: dict[str, Any] = {"_target_": config.target, **(config.model_extra or {})}
    try:
        with warnings.catch_warnings():  # VeRA's configuration warns of a setting that is meant
            warnings.filterwarnings("ignore", message="Specified to not save vera_A")
            method = instantiate(arguments, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, ConfigError):
            raise cause from None
        reason = str(cause or error).splitlines()[0]
        raise ConfigError(f"method={config.name} cannot be built: {reason} (settings: method.*).") from error
    if not isinstance(method, TuningMethod):
        raise ConfigError(
            f"method._target_={config.target} is not a TuningMethod: subclass ftlab.methods.base.TuningMethod."
        )
    return method
