"""Paths of ftlab's own files."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def conf_dir() -> Path:
    """Return the folder of the configuration: inside the package if installed from a wheel, else the repository's."""
    packaged = _PACKAGE / "conf"
    return packaged if packaged.is_dir() else _PACKAGE.parents[1] / "conf"


def project_template() -> Path:
    """Return the folder of the files that `ftlab init` writes."""
    return _PACKAGE / "project_template"
