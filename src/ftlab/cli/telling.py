"""What the command line says of an error: one sentence, and an exit status."""

import sys
from collections.abc import Callable

import typer
import yaml
from omegaconf.errors import OmegaConfBaseException

from ftlab.composition import explain
from ftlab.errors import Failed, UserError

NOTHING_STARTED, SOMETHING_FAILED = 2, 1  # exit statuses


def telling_errors(action: Callable[[], None]) -> None:
    """Run `action`; turn what the user can mend into one sentence and an exit status."""
    from hydra.errors import HydraException

    from ftlab.sweep import Interrupted

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
        if error.filename is None:  # no file of the user's: a bug
            raise
        _stop(f"cannot use {error.filename}: {error.strerror}.", NOTHING_STARTED)


def _stop(sentence: str, status: int) -> None:
    typer.secho(f"error: {sentence}", fg=typer.colors.RED, err=True)
    sys.exit(status)
