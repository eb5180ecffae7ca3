"""Lines of a job's log that ftlab itself writes: each begins with the local date and time."""

import sys
from datetime import datetime
from typing import TextIO


def log_line(text: str, stream: TextIO | None = None) -> None:
    """Print a line at once; to stdout if no stream is given."""
    print(f"{datetime.now():%Y-%m-%d %H:%M:%S}  {text}", file=stream or sys.stdout, flush=True)
