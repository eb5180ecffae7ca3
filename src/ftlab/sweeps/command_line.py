"""Command line of a sweep, for its records."""

import sys
from pathlib import Path

from ftlab.config.secrets import blank_word


def command_line() -> list[str]:
    """Return the command line of this sweep, as a user would type it, with secrets blanked."""
    return [*program(), *map(blank_word, sys.argv[1:])]


def program() -> list[str]:
    """Return the first words of the command line, which start ftlab: `ftlab`, or `python` and a script."""
    name = Path(sys.argv[0]).name
    return ["python", name] if name.endswith(".py") else [name]
