"""Slurm task: one rank of one job, run by submitit on a node of the cluster."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import submitit

from ftlab.core.errors import reason
from ftlab.core.signals import StopSignals
from ftlab.launch.ranks import Rank
from ftlab.launch.worker import exit_process, redirect_output_to_log, run_rank
from ftlab.record import Failure, now, read_record

_REQUEUE_WAIT_SECONDS = 300  # how long Slurm may take to end the other ranks after rank 0 has requeued the job


class SlurmTask:
    """Callable that submitit pickles and runs on the node, and again on the next one if the job is preempted."""

    def __init__(self, directory: Path, command: list[str]) -> None:
        """Store the arguments of the rank.

        Args:
            directory: the run's folder.
            command: command line of the sweep.
        """
        self._directory = directory
        self._command = command

    def __call__(self) -> None:
        """Run this rank and exit with its status for Slurm; the record has the details."""
        job = submitit.JobEnvironment()
        requeue = signal.getsignal(signal.SIGUSR2)  # submitit's handler, replaced below
        stop = StopSignals()
        stop.install()
        distributed = submitit.helpers.TorchDistributedEnvironment()
        cpus = os.environ.get("SLURM_CPUS_PER_TASK")
        rank = Rank(
            local_rank=job.local_rank,
            node_rank=job.node,
            global_rank=job.global_rank,
            world_size=job.num_tasks,
            master_addr=distributed.master_addr,
            master_port=distributed.master_port,
            threads=int(cpus) if cpus else None,
        )
        redirect_output_to_log(self._directory, rank)
        status = run_rank(self._directory, rank, self._command, stop)
        if stop.received == signal.SIGUSR2 and status == 128 + signal.SIGUSR2:
            self._requeue_job(rank, requeue)
        exit_process(status)

    def checkpoint(self) -> Any:
        """Return what submitit runs after the requeue: the same task, which resumes from its checkpoint."""
        return submitit.helpers.DelayedSubmission(SlurmTask(self._directory, self._command))

    def _requeue_job(self, rank: Rank, requeue: Any) -> None:
        """Requeue the job on rank 0; the other ranks wait to be ended, for a task that returns counts as done."""
        if rank.global_rank:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            time.sleep(_REQUEUE_WAIT_SECONDS)
            return
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            requeue(signal.SIGUSR2, None)  # raises SystemExit
        except Exception as error:  # submitit raises when the job has timed out too often
            record = read_record(self._directory)
            failure = Failure(
                type="Timeout",
                message=f"{reason(error)}: raise hydra.launcher.timeout_min or max_num_timeout, then run the same "
                "command again; it resumes from the checkpoint",
            )
            changes = {"status": "timeout", "failure": failure, "finished_at": now()}
            record.model_copy(update=changes).write(self._directory)
