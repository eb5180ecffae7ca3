"""Error messages of the command line: one sentence and an exit status per error."""

import sys
from collections.abc import Callable

import typer
import yaml
from omegaconf.errors import OmegaConfBaseException

from ftlab.core.errors import Failed, UserError

NOTHING_STARTED, SOMETHING_FAILED = 2, 1  # exit statuses


def report_errors(action: Callable[[], object]) -> None:
    """Run `action`; report errors that the user can fix as one sentence and an exit status."""
    from hydra.errors import HydraException

    from ftlab.config.compose import explain
    from ftlab.sweeps.jobs import Interrupted

    try:
        action()
    except Failed as error:
        _stop(str(error), SOMETHING_FAILED)
    except Interrupted as error:
        _stop(f"{error}.", 128 + error.signum)
    except UserError as error:
        _stop(str(error), NOTHING_STARTED)
    except (HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
        _stop(explain(error), NOTHING_STARTED)
    except OSError as error:
        if error.filename is None:  # not about a file: a bug
            raise
        _stop(f"cannot use {error.filename}: {error.strerror}.", NOTHING_STARTED)


def _stop(sentence: str, status: int) -> None:
    typer.secho(f"error: {sentence}", fg=typer.colors.RED, err=True)
    sys.exit(status)
