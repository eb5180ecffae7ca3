"""Prompt template as a configuration value: its text, since a path may change or not exist on another machine."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from ftlab.core.errors import reason

_FILES = (".jinja", ".j2")


def _text(template: str) -> str:
    """Return the template: a file's content, or the text itself; in a single line, a typed backslash-n is a line break.

    Idempotent, since a run validates again the configuration that its sweep has written.
    """
    if template.endswith(_FILES):
        path = Path(template).expanduser()
        try:
            template = path.read_text(encoding="utf-8").removesuffix("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(
                f"this file cannot be read ({reason(error, named=path)}): give an absolute path, or one relative to "
                f"{Path.cwd()}"
            ) from None
    return template if "\n" in template else template.replace("\\n", "\n")


Template = Annotated[str, AfterValidator(_text)]
