"""A template as the configuration holds it: its text, for a path may change, or lead nowhere on another machine."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

_FILES = (".jinja", ".j2")


def _text(template: str) -> str:
    """Return the template: a file's content, or what was typed, where backslash and n break a single line.

    What it returns it returns again: a run reads the configuration that its sweep has written.
    """
    if template.endswith(_FILES):
        try:
            template = Path(template).expanduser().read_text(encoding="utf-8").removesuffix("\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ValueError(f"this file cannot be read ({reason}): give a path that starts in {Path.cwd()}") from None
    return template if "\n" in template else template.replace("\\n", "\n")


Template = Annotated[str, AfterValidator(_text)]
