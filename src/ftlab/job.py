"""The process of one rank of one job: it runs the config.yaml that lies in the run's folder.

Everything that leaks from one run to the next in a shared process (peak memory, W&B runs, random state, CUDA context)
dies with this one.
"""

import logging
import os
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import yaml

from ftlab.launch.failures import LOGS, write_failure
from ftlab.launch.ranks import Rank
from ftlab.record import RunRecord
from ftlab.record.folder import CONFIG
from ftlab.recorder import failure_of, status_of
from ftlab.schema import RunConfig, validate
from ftlab.stopping import Stopped, StopSignals


def run_rank(directory: Path, rank: Rank, command: list[str], stop: StopSignals) -> int:
    """Run this rank's part of the job.

    Args:
        directory: the run's folder.
        rank: which process of the job this one is.
        command: the command line behind the sweep, for the record.
        stop: hears the signals that tell this process to stop.

    Returns:
        The exit status: 0 completed, 1 failed, 128 + signal stopped. The record says more.
    """
    rank.enter()
    sys.path.insert(0, os.getcwd())  # a method of the user's own is a module there
    try:
        config = validate(yaml.safe_load((directory / CONFIG).read_text(encoding="utf-8")))
        _quiet_run(rank.threads)(config, directory, command, stop)
    except Stopped as told:
        print(told, file=sys.stderr, flush=True)
        return 128 + told.signum
    except Exception as error:
        failure = failure_of(error, None)
        print(failure.traceback or f"error: {failure.message}", file=sys.stderr, flush=True)
        if rank.world_size > 1:
            write_failure(directory, rank.number, status_of(error), failure)
        return 1
    return 0


def write_to_log(directory: Path, rank: Rank) -> None:
    """Send all output of this process, and of what it starts, to the rank's log in the run's folder."""
    path = directory / LOGS / ("job.log" if rank.number == 0 else f"rank{rank.number}.log")
    path.parent.mkdir(parents=True, exist_ok=True)
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


def leave(status: int) -> None:
    """End this process now: one whose peers are gone would wait for them in its tidying up."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _quiet_run(threads: int | None) -> Callable[[RunConfig, Path, list[str], StopSignals], RunRecord]:
    """Import torch and all around it, quietly."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import torch
    from tqdm import tqdm

    from ftlab.run import run

    silence_libraries()
    tqdm.set_lock(threading.RLock())  # its own is one between processes, of which `leave` would leave a semaphore
    if threads:
        torch.set_num_threads(min(threads, torch.get_num_threads()))  # OMP_NUM_THREADS may ask for fewer
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
        r"It is recommended to use `self\.log\(.* sync_dist=True.*",  # every rank evaluates every row
        r"The `srun` command is available on your system but is not used.*",  # ranks are started by ftlab
        r".*`isinstance\(treespec, LeafSpec\)` is deprecated.*",  # lightning 2.6 on torch 2.13
        r"You have overridden `on_before_batch_transfer` in `LightningModule`.*",  # the task knows its labels
        r"Found \d+ module\(s\) in eval mode at the start of training.*",  # model.frozen_dropout=false wants it so
    ):
        warnings.filterwarnings("ignore", message=message)
