"""Tuning methods; conf/method has the configuration of each, this package the code."""

import warnings
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate

from ftlab.config.groups import MethodConfig
from ftlab.core.errors import ConfigError, reason
from ftlab.methods.base import TuningMethod

# Members of a method before December 2026 -> their names now: one that overrides them would have no effect.
_RENAMED_MEMBERS = {
    "added_positions": "num_virtual_tokens",
    "bare": "reference_logits",
    "loading": "loading_code",
    "skips_parameters": "find_unused_parameters",
}


def build_method(config: MethodConfig) -> TuningMethod:
    """Instantiate the class that `_target_` names with all keys that are not fields of `MethodConfig`.

    Raises:
        ConfigError: the target cannot be imported, refuses its arguments, or overrides a member by its former name.
    """
    arguments: dict[str, Any] = {"_target_": config.target, **(config.model_extra or {})}
    try:
        with warnings.catch_warnings():  # VeRA's configuration warns about a setting that is intended
            warnings.filterwarnings("ignore", message="Specified to not save vera_A")
            method = instantiate(arguments, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, ConfigError):
            raise cause from None
        while cause is not None and cause.__cause__ is not None:  # Hydra wraps a failed import twice
            cause = cause.__cause__
        remedy = "check the settings method.*"
        if isinstance(cause, ImportError):
            remedy = f"fix the imports of {config.target.rpartition('.')[0]}; ftlab's modules moved, see CHANGELOG.md"
        raise ConfigError(f"method={config.name} cannot be built: {reason(cause or error)}: {remedy}.") from error
    if not isinstance(method, TuningMethod):
        raise ConfigError(
            f"method._target_={config.target} is not a TuningMethod: subclass ftlab.methods.base.TuningMethod."
        )
    for former, name in _RENAMED_MEMBERS.items():
        if hasattr(method, former):
            raise ConfigError(f"{config.target} defines {former}, which is now {name}: rename it.")
    return method
