"""Runs and sweeps from Python, each in a child process, which leaves the calling one as it is: no torch, no Hydra."""

import json
import os
import shlex
import signal
import subprocess
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

from ftlab.api.results import Run, Sweep, load_run, load_sweep
from ftlab.core import errors
from ftlab.core.errors import ConfigError, Failed, UserError, reason
from ftlab.record import FILE_NAME

_VALUED_FLAGS = ("--config-dir", "-cd")  # the only flags that make sense in a call; a value follows, or is behind `=`
_TEXT_WIDTH = "120"  # characters, of tables that are not shown on a terminal
_TERMINAL_VARIABLES = ("CLICOLOR_FORCE", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
_LAST_CHARACTERS = 2000  # of a child's output, in the error that it has ended unexpectedly


def run(overrides: str | Sequence[str] = (), *, quiet: bool = False) -> Run:
    """Run one experiment as `ftlab train` does, in a child process, and return the run when it has ended.

    With a `sweep.name`, a run that is complete is returned at once, and one that was interrupted goes on. Ctrl-C, or
    the interrupt of a notebook, lets it write a checkpoint first.

    Args:
        overrides: as on the command line, such as `["method=lora", "optim.lr=1e-3"]`; one text is split as a shell
            splits it.
        quiet: whether to hide the output.

    Raises:
        UserError: nothing was started, as a setting is wrong (ConfigError), or the run has failed (Failed); the message
            says why, and for a run that has failed, in which folder.
        RuntimeError: the child process ended without a reason; the message has the end of its output.
    """
    directory, error = _train(_words(overrides), quiet)
    if directory and (directory / FILE_NAME).exists():
        result = load_run(directory)
        if result.record.has_failed:
            raise Failed(f"{_reason(result)}.")
        return result
    if directory and any(directory.glob(f"*/{FILE_NAME}")):
        raise error or UserError(f"this was a sweep: use ftlab.sweep, or ftlab.load_sweep({str(directory)!r}).")
    raise error or _nothing_was_run()


def sweep(overrides: str | Sequence[str] = (), *, quiet: bool = False) -> Sweep:
    """Run one experiment per combination as `ftlab train -m` does, in a child process, and return all of them.

    With a `sweep.name`, only what is not complete is run. A run that fails stops no other: it is in `Sweep.failed`, and
    a warning tells of it.

    Args:
        overrides: as on the command line, with lists such as `["method=lora,full", "seed=0,1,2"]`; one text is split as
            a shell splits it.
        quiet: whether to hide the output.

    Raises:
        UserError: nothing was started, as a setting is wrong (ConfigError), or no run has begun.
        RuntimeError: the child process ended without a reason; the message has the end of its output.
    """
    directory, error = _train(["-m", *_words(overrides)], quiet)
    if directory is None or not any(directory.glob(f"*/{FILE_NAME}")):
        raise error or _nothing_was_run()
    result = load_sweep(directory)
    if result.failed:
        reasons = "; ".join(map(_reason, result.failed))
        warnings.warn(f"{len(result.failed)} of {len(result.runs)} runs have no result: {reasons}.", stacklevel=2)
    elif error is not None:  # of a search
        warnings.warn(str(error), stacklevel=2)
    return result


def _nothing_was_run() -> UserError:
    return UserError("nothing was run: leave plan=true to ftlab train, or set plan=first.")


def _words(overrides: object) -> list[str]:
    """Return the words of a command line.

    Raises:
        ConfigError: they are no texts, a text has a quote without an end, there is a flag other than --config-dir, or
            they ask for a plan.
    """
    if not isinstance(overrides, Sequence) or isinstance(overrides, bytes):
        raise ConfigError(
            f'overrides is of type {type(overrides).__name__}: give a list of texts, as in ["method=lora", "seed=1"].'
        )
    try:
        words = shlex.split(overrides) if isinstance(overrides, str) else list(overrides)
    except ValueError as error:
        remedy = "give a list with one text per setting"
        raise ConfigError(f"{overrides!r} cannot be split ({reason(error)}): {remedy}.") from None
    for number, word in enumerate(words):
        if not isinstance(word, str) or "\0" in word:
            raise ConfigError(f'overrides[{number}] is {word!r}: give a text such as "method=lora".')
        if word.lower() == "plan=true":
            raise ConfigError(f"{word} trains nothing: give it to ftlab train, or set plan=first.")
        if word in ("-m", "--multirun"):
            raise ConfigError(f"{word} does not belong into a call: use ftlab.sweep for several experiments.")
        if word.startswith("-") and word.partition("=")[0] not in _VALUED_FLAGS:
            raise ConfigError(f"{word} is a flag for the command line: give GROUP=CHOICE and KEY=VALUE.")
    return words


def _reason(failed: Run) -> str:
    failure = failed.record.failure
    why = f": {failure.summary.rstrip('.')}" if failure else ""
    return f"{failed.directory} is {failed.status}{why} (its output is in logs/job.log there)"


def _train(arguments: list[str], quiet: bool) -> tuple[Path | None, UserError | None]:
    """Run `ftlab train` in a child process.

    Returns:
        The folder of the run, with -m of the sweep, if something was run; and the error with which the command ended.

    Raises:
        KeyboardInterrupt: the user has interrupted it; the child has ended.
        RuntimeError: the child has ended without a result.
    """
    quiet = quiet or sys.stdout is None  # a program without a console
    inherits_stdout = not quiet and sys.stdout is sys.__stdout__  # a notebook puts something else in its place
    if inherits_stdout:
        sys.stdout.flush()
    with TemporaryDirectory(prefix="ftlab-call-") as folder, TemporaryFile() as hidden:
        result = Path(folder) / "result.json"
        child = subprocess.Popen(
            [sys.executable, "-P", "-u", "-c", _child_code(), str(result), *arguments],
            stdin=subprocess.PIPE,  # is closed when this process ends, however it does, which ends the child
            stdout=None if inherits_stdout else hidden if quiet else subprocess.PIPE,
            stderr=None if inherits_stdout else subprocess.STDOUT,
            env=None if inherits_stdout else _environment_without_terminal(),
            start_new_session=True,  # Ctrl-C reaches this process alone, which passes it on once
        )
        with child:
            _wait(child)
        if not result.exists():
            hidden.seek(0)
            end = hidden.read().decode(errors="replace").strip()[-_LAST_CHARACTERS:]
            raise RuntimeError(f"the process of ftlab train ended with status {child.returncode}: {end or 'see above'}")
        directory, error = json.loads(result.read_text(encoding="utf-8"))
    return Path(directory).absolute() if directory else None, getattr(errors, error[0])(error[1]) if error else None


def _child_code() -> str:
    """Return the code of the child, in which ftlab is found also where only this process's path has it."""
    root = str(Path(__file__).resolve().parents[2])
    return f"import sys; sys.path.append({root!r}); from ftlab.api.child import main; main()"


def _environment_without_terminal() -> dict[str, str]:
    """Return the environment of a child whose output is text: kernels of notebooks ask for colours, and so for bars."""
    inherited = {name: value for name, value in os.environ.items() if name not in _TERMINAL_VARIABLES}
    return {"COLUMNS": _TEXT_WIDTH, **inherited, "PYTHONIOENCODING": "utf-8"}


def _wait(child: subprocess.Popen[bytes]) -> None:
    """Wait for the child, show what it writes into a pipe, and pass each interrupt on.

    Raises:
        KeyboardInterrupt: there was an interrupt; the child has ended.
    """
    interrupt: KeyboardInterrupt | None = None
    while child.returncode is None:
        try:
            for line in child.stdout or ():
                sys.stdout.write(line.decode(errors="replace"))
            child.wait()
        except KeyboardInterrupt as error:
            interrupt = error
            child.send_signal(signal.SIGINT)
    if interrupt is not None:
        raise interrupt
