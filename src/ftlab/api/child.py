"""Child process of a call of `ftlab.run` or `ftlab.sweep`: `ftlab train`, whose result goes into a file."""

import json
import os
import signal
import sys
import threading
from pathlib import Path

from ftlab.cli.error_messages import as_user_error
from ftlab.cli.training import begin_experiments, run_experiments
from ftlab.core import errors
from ftlab.sweeps.jobs import JobsFailed


def main() -> None:
    """Run the experiments of the command line, and write their folder and the error that they end with.

    The first argument is the file to write: JSON with a list of the folder of the run (with -m of the sweep) or null,
    and a list of the error's class in `ftlab.core.errors` and its message, or null. Nothing is written for a bug.
    """
    result, *arguments = sys.argv[1:]
    sys.argv = ["ftlab", "train", *arguments]  # records keep the command, and it should work when typed
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a notebook's kernel may ignore it, and passes it on
    threading.Thread(target=_end_with_parent, args=(os.dup(0),), daemon=True).start()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # no library is to read the pipe
    directory, error = _outcome(arguments)
    Path(result).write_text(json.dumps([directory, error]), encoding="utf-8")


def _outcome(arguments: list[str]) -> tuple[str | None, tuple[str, str] | None]:
    try:
        begin_experiments(arguments)
        directory = run_experiments(arguments)
    except Exception as error:
        user_error = as_user_error(error)
        if user_error is None:
            raise
        name = next(cls.__name__ for cls in type(user_error).__mro__ if cls.__module__ == errors.__name__)
        return str(error.directory) if isinstance(error, JobsFailed) else None, (name, str(user_error))
    return str(directory) if directory else None, None


def _end_with_parent(pipe: int) -> None:
    """Stop this process when its parent ends: it is the only one that could write into the pipe."""
    os.read(pipe, 1)
    os.kill(os.getpid(), signal.SIGTERM)
