"""The process of one job: `python -m ftlab.job DIRECTORY` runs the config.yaml that lies there.

Everything that leaks from one run to the next in a shared process (peak memory, W&B runs, random state, CUDA context)
dies with this one.
"""

import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import yaml

from ftlab.errors import UserError
from ftlab.schema import RunConfig, validate

CONFIG = "config.yaml"
COMMAND_VARIABLE = "FTLAB_COMMAND"  # the command line behind the sweep, one argument a line


def main() -> int:
    """Run the job and return the process's exit status: 0 completed, 1 failed. The record says more."""
    directory = Path(sys.argv[1])
    signal.signal(signal.SIGTERM, _stop)
    try:
        config = validate(yaml.safe_load((directory / CONFIG).read_text(encoding="utf-8")))
        run = _quiet_run()
        run(config, directory, os.environ.get(COMMAND_VARIABLE, "").splitlines())
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except Exception as error:
        print(f"error: {type(error).__name__}: {error} (traceback in {directory / 'record.json'})", file=sys.stderr)
        return 1
    return 0


def _stop(signum: int, _: FrameType | None) -> None:
    raise SystemExit(128 + signum)


def _quiet_run() -> Callable[[RunConfig, Path, list[str]], object]:
    """Import torch and all around it, quietly."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from ftlab.run import run

    silence_libraries()
    return run


def silence_libraries() -> None:
    """Silence what they say in every run, so that what they say in one run is seen; to be called once all are imported.

    Lightning sets the level of its loggers as it is imported.
    """
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for message in (
        r".*does not have many workers.*",  # the rows are tokenised in memory: workers would only cost
        r".*`is_gradient_checkpointing` is deprecated.*",  # peft 0.21 on transformers 5
        r".*`isinstance\(treespec, LeafSpec\)` is deprecated.*",  # lightning 2.6 on torch 2.13
    ):
        warnings.filterwarnings("ignore", message=message)


if __name__ == "__main__":
    sys.exit(main())
