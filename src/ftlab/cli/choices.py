"""Groups, choices and settings of the configuration, read from its files without Hydra, for help and completion."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml


def group_choices(conf: Path) -> dict[str, dict[str, str]]:
    """Return group -> choice -> its description: the first comment line of the choice's file."""
    groups = sorted({path.parent for path in conf.glob("*/**/*.yaml")})
    return {
        group.relative_to(conf).as_posix(): {
            path.stem: first_comment(path) for path in sorted(group.glob("*.yaml")) if path.stem[0] != "_"
        }
        for group in groups
    }


def first_comment(path: Path) -> str:
    """Return the first comment line of a configuration file, Hydra directives (`@package`) left out."""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("#") and "@package" not in line:
            return line.lstrip("# ").strip()
    return ""


@dataclass(frozen=True)
class ConfFolders:
    """Folders with configuration files, in the order in which Hydra searches them.

    Attributes:
        folders: ftlab's own comes first.
    """

    folders: Sequence[Path]

    @cached_property
    def groups(self) -> dict[str, dict[str, str]]:
        """Group -> choice -> its description."""
        groups: dict[str, dict[str, str]] = {}
        for folder in self.folders:
            for group, choices in group_choices(folder).items():
                groups[group] = {**choices, **groups.get(group, {})}
        return groups

    @cached_property
    def defaults(self) -> dict[str, str]:
        """Group -> the choice that holds if the command line makes none."""
        return {group: choice for group, choice, _ in _entries(self._load(Path("train.yaml")), "") if group}

    def settings(self, choices: dict[str, list[str]]) -> dict[str, Any]:
        """Return the settings with their default values: those of the root configuration, and of the choices.

        Args:
            choices: group -> its choices, of which several make a sweep; other groups have their default choice.
        """
        root = self._load(Path("train.yaml"))
        defaults = {group: [choice] for group, choice in self.defaults.items()}
        settings = {key: value for key, value in root.items() if key not in ("defaults", "hydra")}
        for experiment in choices.get("experiment", []):
            defaults.update({group: [choice] for group, choice in self._choices_of(experiment).items()})
        for group, names in {**defaults, **choices}.items():
            if group == "experiment" or "/" in group:
                continue
            for name in names:
                settings[group] = _merged(settings.get(group, {}), self._choice(group, name, ()))
        return settings

    def _choices_of(self, experiment: str) -> dict[str, str]:
        """Return what an experiment chooses, as in `override /method: full`."""
        entries = self._load(Path(f"experiment/{experiment}.yaml")).get("defaults")
        items = [item for entry in entries or [] if isinstance(entry, dict) for item in entry.items()]
        return {key.removeprefix("override /"): choice for key, choice in items if key.startswith("override /")}

    def _choice(self, group: str, name: str, above: tuple[str, ...]) -> dict[str, Any]:
        """Return the settings of a choice and of those that its defaults list names."""
        path = f"{group}/{name}"
        if path in above:  # names itself
            return {}
        values = self._load(Path(f"{path}.yaml"))
        settings: dict[str, Any] = {}
        for other, choice, package in _entries(values, group):
            inherited = self._choice(other, choice, (*above, path))
            for part in reversed(package.split(".") if package else []):
                inherited = {part: inherited}
            settings = _merged(settings, inherited)
        return _merged(settings, {key: value for key, value in values.items() if key != "defaults"})

    def _load(self, name: Path) -> dict[str, Any]:
        """Return the content of the first file of this name; nothing if it cannot be read: training will say why."""
        path = next((folder / name for folder in self.folders if (folder / name).is_file()), None)
        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8")) if path else None
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            return {}
        return values if isinstance(values, dict) else {}


def _entries(values: dict[str, Any], group: str) -> Iterator[tuple[str, str, str]]:
    """Yield group, choice and package of the entries of a defaults list, without overrides of other groups."""
    entries = values.get("defaults")
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, str) and entry != "_self_":
            other, _, choice = entry.lstrip("/").rpartition("/")
            yield other or group, choice, ""
        elif isinstance(entry, dict):
            for key, choice in entry.items():
                other, _, package = str(key).lstrip("/").partition("@")
                if isinstance(choice, str) and " " not in other and (package or not group):
                    yield other, choice, package


def _merged(base: Any, update: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration with the keys of another one, which take precedence."""
    if not isinstance(base, dict):
        return update
    nested = {key: _merged(base.get(key), value) for key, value in update.items() if isinstance(value, dict)}
    return {**base, **update, **nested}
