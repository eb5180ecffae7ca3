"""Error messages of the command line: one sentence and an exit status per error."""

import errno
import signal
import sys
from collections.abc import Callable

import typer
import yaml
from omegaconf.errors import OmegaConfBaseException

from ftlab.core.errors import ConfigError, Failed, Unfinished, UserError, reason

_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENOENT, errno.EIO)
NOTHING_STARTED, SOMETHING_FAILED = 2, 1  # exit statuses


def report_errors(action: Callable[[], object]) -> None:
    """Run `action`; report errors that the user can fix as one sentence and an exit status."""
    from ftlab.core.terminal import discard, escape_unencodable
    from ftlab.sweeps.interrupts import Interrupted

    escape_unencodable()
    try:
        action()
    except Interrupted as error:
        _stop(str(error), 128 + error.signum)
    except KeyboardInterrupt:  # before there are jobs that could be stopped
        _stop("stopped by SIGINT.", 128 + signal.SIGINT)
    except BrokenPipeError:  # as of `| head`
        discard(sys.stdout)
        sys.exit(SOMETHING_FAILED)
    except Exception as error:
        user_error = as_user_error(error)
        if user_error is None:
            raise
        _stop(str(user_error), SOMETHING_FAILED if isinstance(user_error, Failed) else NOTHING_STARTED)


def as_user_error(error: Exception) -> UserError | None:
    """Return an error of ftlab, of its libraries or of the system as one that the user can fix; None: it is a bug."""
    from hydra.errors import HydraException

    from ftlab.config.compose import explain
    from ftlab.sweeps.interrupts import Interrupted

    match error:
        case UserError():
            return error
        case Interrupted():
            return Unfinished(str(error))
        case HydraException() | OmegaConfBaseException() | yaml.YAMLError():
            return ConfigError(explain(error))
        case OSError() if error.filename is not None:
            remedy = ", so give a shorter one" if error.errno == errno.ENAMETOOLONG else ""
            return UserError(f"cannot use {error.filename}: {reason(error, named=error.filename)}{remedy}.")
        case OSError() if error.errno in _OF_THE_DISK:  # others are not about a file
            remedy = "make room, or set TMPDIR to a folder that has some"
            return UserError(f"a file cannot be written ({reason(error)}): {remedy}.")
    return None


def _stop(sentence: str, status: int) -> None:
    from ftlab.comparison.formats import printable

    typer.secho(f"error: {printable(sentence)}", fg=typer.colors.RED, err=True)
    sys.exit(status)
