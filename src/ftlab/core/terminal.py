"""Terminal that shows text of records, data and logs without obeying it, and whose end stops nothing."""

import errno
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from ftlab.core.escapes import escape_controls

_GONE = (errno.EIO, errno.EPIPE)  # the terminal, or the program that a pipe leads to, has been closed


class Terminal(Console):
    """Rich's console; see the module."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments of what is printed, with control characters of its texts escaped."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(escape_controls(segment.text), segment.style)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print; once nobody can read it, print nothing."""
        try:
            super().print(*objects, **options)
        except OSError as error:
            if error.errno not in _GONE:
                raise
            self.on_broken_pipe()

    def on_broken_pipe(self) -> None:
        """Go on without output: what runs is worth more than its lines."""
        self.quiet = True
        discard(self.file)


def discard(stream: Any) -> None:
    """Have all further output of a stream discarded, that of its buffer included."""
    with suppress(OSError, ValueError):  # it has no descriptor
        descriptor = os.open(os.devnull, os.O_WRONLY)
        os.dup2(descriptor, stream.fileno())
        os.close(descriptor)


def escape_unencodable() -> None:
    """Have characters that stdout and stderr cannot encode escaped, instead of an error: an ASCII log is a log."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError, OSError):  # replaced by something else, or closed
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
