"""Project of a user: a folder with `ftlab.toml`, which names the folder of its own choices."""

import os
import tomllib
from pathlib import Path

from ftlab.core.errors import ConfigError, did_you_mean, reason

MARKER = "ftlab.toml"
_CONF = "conf"
_KEYS = ("conf",)


def project_conf(folder: Path) -> Path | None:
    """Return the folder of the choices of the project in `folder`, as an absolute path; None: there is no project.

    Raises:
        ConfigError: `ftlab.toml` cannot be used, or there is no such folder.
    """
    marker = folder / MARKER
    if not marker.is_file():
        return None
    try:
        settings = tomllib.loads(marker.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f'{MARKER} cannot be read as TOML ({reason(error)}): correct it, as in conf = "{_CONF}".'
        ) from None
    for key in settings:
        if key not in _KEYS:
            raise ConfigError(f"{MARKER}: {key} is not a setting of a project: {did_you_mean(key, _KEYS)}.")
    conf = settings.get("conf", _CONF)
    if not isinstance(conf, str):
        raise ConfigError(f'{MARKER}: conf={conf!r} is not the path of a folder: write conf = "{_CONF}".')
    inside = os.path.normpath(conf)
    if os.path.isabs(inside) or inside.split(os.sep)[0] in ("..", "."):
        raise ConfigError(
            f"{MARKER}: conf={conf!r} is not a folder inside the project: name one below {folder}, or use "
            "--config-dir for a folder elsewhere."
        )
    path = folder / inside
    if not path.is_dir():
        raise ConfigError(f"{MARKER}: conf={conf!r} does not exist in {folder}: create this folder, or correct it.")
    return path
