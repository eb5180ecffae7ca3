"""Names from before December 2026 (import paths, settings) and their present ones, to read older configurations.

Hashes use the old import paths, so that equal runs from before and after the move have equal hashes.
"""

from collections.abc import Mapping
from typing import Any

from ftlab.core.errors import ConfigError

# Old module -> present module, for everything that a configuration can name by `_target_`.
MOVED = {
    "ftlab.data.conll": "ftlab.data.sources.conll",
    "ftlab.data.files": "ftlab.data.sources.files",
    "ftlab.data.hub": "ftlab.data.sources.hub",
    "ftlab.data.wheels": "ftlab.data.sources.wheels",
    "ftlab.methods.floors": "ftlab.methods.baselines",
    "ftlab.methods.prompted": "ftlab.methods.verbalizer",
    "ftlab.methods.selective": "ftlab.methods.partial",
}
# Old name of a setting -> present name, by group; none of them is part of a hash.
RENAMED_SETTINGS = {
    "speed": {
        "trunk": "frozen_layers",
        "trunk_memory_gb": "frozen_layers_memory_gb",
        "trunk_disk_gb": "frozen_layers_disk_gb",
    }
}
_ORIGINAL = {present: original for original, present in MOVED.items()}


def with_current_names(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return an older or present configuration with present names: every `_target_` and every setting.

    Raises:
        ConfigError: a setting has both names, so that it is not clear which of them holds.
    """
    renamed = dict(config)
    for group, names in RENAMED_SETTINGS.items():
        settings = renamed.get(group)
        if not isinstance(settings, dict):
            continue
        if twice := next((former for former, name in names.items() if {former, name} <= settings.keys()), None):
            raise ConfigError(f"{renamed_setting(f'{group}.{twice}')}.")
        renamed[group] = {names.get(key, key): value for key, value in settings.items()}
    return {key: _with_targets(value, MOVED) for key, value in renamed.items()}


def renamed_setting(key: str) -> str | None:
    """Return a clause that names a former setting and its present name; None if `key` is no former setting."""
    group, _, name = key.rpartition(".")
    present = RENAMED_SETTINGS.get(group, {}).get(name)
    return f"{key} is now {group}.{present}: use that name" if present else None


def with_original_targets(config: Any) -> Any:
    """Return nested settings with every `_target_` as it was before the move, for hashes."""
    return _with_targets(config, _ORIGINAL)


def _with_targets(value: Any, paths: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {
            key: _renamed(member, paths) if key == "_target_" else _with_targets(member, paths)
            for key, member in value.items()
        }
    return [_with_targets(member, paths) for member in value] if isinstance(value, list) else value


def _renamed(target: Any, paths: Mapping[str, str]) -> Any:
    if not isinstance(target, str):
        return target
    module, _, name = target.rpartition(".")
    return f"{paths[module]}.{name}" if module in paths else target
