"""Worker process of one rank: it runs the config.yaml in the run's folder.

Each rank has its own process, so that nothing leaks from one run to the next: peak memory, W&B runs, random state, CUDA
context.
"""

import logging
import os
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

from ftlab.config.run_config import RunConfig
from ftlab.config.secrets import blank_word
from ftlab.core.import_path import search_cwd_last
from ftlab.core.job_log import log_line
from ftlab.core.signals import Stopped, StopSignals
from ftlab.launch.failures import LOGS, write_failure
from ftlab.launch.job_config import read_job_config
from ftlab.launch.ranks import Rank
from ftlab.launch.temporary_files import own_temporary_files
from ftlab.record import RunRecord
from ftlab.train.recorder import failure_of, status_of


def run_rank(
    directory: Path, rank: Rank, command: list[str], stop: StopSignals, *, import_from_cwd: bool = True
) -> int:
    """Run this rank's part of the job.

    Args:
        directory: the run's folder.
        rank: position of this process in the job.
        command: command line of the sweep, for the record.
        stop: receives the signals that ask this process to stop.
        import_from_cwd: whether modules are also searched in the working directory, where a user's methods are.

    Returns:
        The exit status: 0 completed, 1 failed, 128 + signal stopped. The record has the details.
    """
    rank.set_environment()
    search_cwd_last(searched=import_from_cwd)
    sys.argv[1:] = map(blank_word, sys.argv[1:])  # trackers store it
    try:
        with own_temporary_files():
            config = read_job_config(directory)
            _import_run(rank.threads)(config, directory, command, stop)
    except Stopped as stopped:
        log_line(str(stopped), sys.stderr)
        return 128 + stopped.signum
    except Exception as error:
        failure = failure_of(error, None)
        log_line(failure.traceback or f"error: {failure.message}", sys.stderr)
        if rank.world_size > 1:
            write_failure(directory, rank.global_rank, status_of(error), failure)
        return 1
    return 0


def redirect_output_to_log(directory: Path, rank: Rank) -> None:
    """Redirect stdout and stderr of this process and its children to the rank's log in the run's folder."""
    path = directory / LOGS / ("job.log" if rank.global_rank == 0 else f"rank{rank.global_rank}.log")
    path.parent.mkdir(parents=True, exist_ok=True)
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


def exit_process(status: int) -> None:
    """Exit at once, without clean-up: it would wait for other ranks, which may be gone."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _import_run(threads: int | None) -> Callable[[RunConfig, Path, list[str], StopSignals], RunRecord]:
    """Import torch and the training code, silence the libraries, and return `ftlab.train.run.run`."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import torch
    from tqdm import tqdm

    from ftlab.train.run import run

    silence_libraries()
    tqdm.set_lock(threading.RLock())  # tqdm's own is a semaphore between processes, which `exit_process` would leak
    if threads:
        torch.set_num_threads(min(threads, torch.get_num_threads()))  # OMP_NUM_THREADS may be lower
    return run


def silence_libraries() -> None:
    """Silence messages that the libraries print in every run, so that unusual ones are seen.

    Call it after all imports: Lightning sets the level of its loggers on import.
    """
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for message in (
        r".*does not have many workers.*",  # the rows are tokenised in memory: workers would only cost
        r"It is recommended to use `self\.log\(.* sync_dist=True.*",  # every rank evaluates every row
        r"The `srun` command is available on your system but is not used.*",  # ranks are started by ftlab
        r".*`isinstance\(treespec, LeafSpec\)` is deprecated.*",  # lightning 2.6 on torch 2.13
        r"You have overridden `on_before_batch_transfer` in `LightningModule`.*",  # the task knows its labels
        r"Checkpoint directory .* exists and is not empty.*",  # that of a run that is resumed
        r"Found \d+ module\(s\) in eval mode at the start of training.*",  # model.frozen_dropout=false wants it so
    ):
        warnings.filterwarnings("ignore", message=message)
