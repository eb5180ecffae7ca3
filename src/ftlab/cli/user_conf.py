"""Folder of the user's own choices: that of --config-dir, else that of the project in the working directory."""

import os
from dataclasses import dataclass
from pathlib import Path

import yaml

from ftlab.config.paths import conf_dir
from ftlab.config.project import MARKER, project_conf
from ftlab.core.errors import ConfigError


@dataclass(frozen=True)
class UserConf:
    """Folder of the user's own choices.

    Attributes:
        path: its absolute path.
        provider: who named it, for Hydra's search path: `command-line` or `project`.
    """

    path: Path
    provider: str

    @property
    def origin(self) -> str:
        """Who named it, for people."""
        return "--config-dir" if self.provider == "command-line" else MARKER


def find_user_conf(config_dir: str | None) -> UserConf | None:
    """Return the folder of the user's own choices; None: there is none.

    Args:
        config_dir: value of --config-dir, which takes the place of a project's folder.

    Raises:
        ConfigError: the folder does not exist, or the project cannot be used.
    """
    if config_dir is not None:
        path = Path(os.path.abspath(config_dir))
        if not path.is_dir():
            raise ConfigError(
                f"--config-dir {config_dir} is no folder in {Path.cwd()}: correct the path, or create the folder."
            )
        return UserConf(path, "command-line")
    path_of_project = project_conf(Path.cwd())
    if path_of_project is None:
        return None
    _refuse_hidden_choices(path_of_project)
    return UserConf(path_of_project, "project")


def _refuse_hidden_choices(conf: Path) -> None:
    """Raise an error if the folder has a file of ftlab's own name, which Hydra would leave out."""
    for path in sorted(conf.rglob("*.yaml")):
        name = path.relative_to(conf)
        if (conf_dir() / name).is_file():
            raise ConfigError(f"{path} has the name of a choice of ftlab's own, which hides it: rename it.")


def broken_file(conf: Path) -> Path | None:
    """Return the first YAML file in a folder that Hydra cannot use as settings; None: it can use all of them."""
    return next((path for path in sorted(conf.rglob("*.yaml")) if not _is_settings(path)), None)


def _is_settings(path: Path) -> bool:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return False
    return isinstance(values, dict) and isinstance(values.get("defaults", []), list)
