"""Configuration of a job, from the process that starts it to its own: a file, and another one with its secrets."""

import json
from pathlib import Path
from typing import Any

import yaml

from ftlab.config.run_config import RunConfig, validate
from ftlab.config.secrets import remember_secrets, secrets_in, with_blanks, with_secrets
from ftlab.core.atomic import write_text
from ftlab.record.folder import CONFIG, SECRETS


def write_job_config(directory: Path, config: RunConfig) -> None:
    """Write config.yaml with secrets blanked; they go into a hidden file, which only this user may read."""
    resolved = config.model_dump(mode="json", by_alias=True)
    write_text(directory / CONFIG, yaml.safe_dump(with_blanks(resolved), allow_unicode=True, sort_keys=False))
    if secrets := secrets_in(resolved):
        write_text(directory / SECRETS, json.dumps([[*item] for item in secrets.items()]), mode=0o600)
    else:
        remove_secrets(directory)


def read_job_config(directory: Path) -> RunConfig:
    """Read what `write_job_config` has written.

    Raises:
        ConfigError: it is not valid.
    """
    values: Any = yaml.safe_load((directory / CONFIG).read_text(encoding="utf-8"))
    if (directory / SECRETS).exists():
        secrets = {tuple(path): value for path, value in json.loads((directory / SECRETS).read_text(encoding="utf-8"))}
        remember_secrets(secrets.values())
        values = with_secrets(values, secrets)
    return validate(values)


def remove_secrets(directory: Path) -> None:
    """Remove the file with the secrets of a job that has ended."""
    (directory / SECRETS).unlink(missing_ok=True)
