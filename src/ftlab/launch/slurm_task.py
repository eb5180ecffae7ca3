"""What runs on a node of the cluster: one rank of one job."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import submitit

from ftlab.job import leave, run_rank, write_to_log
from ftlab.launch.ranks import Rank
from ftlab.record import Failure, now, read_record
from ftlab.stopping import StopSignals

_REQUEUED_SECONDS = 300  # for Slurm to end the ranks of a job that rank 0 has requeued


class SlurmTask:
    """A callable that submitit carries to the node, and to the next one when the job is preempted."""

    def __init__(self, directory: Path, command: list[str]) -> None:
        """Take the run's folder and the command line behind the sweep."""
        self._directory = directory
        self._command = command

    def __call__(self) -> None:
        """Run this rank; Slurm hears by the exit status how it went, the record says more."""
        here = submitit.JobEnvironment()
        requeue = signal.getsignal(signal.SIGUSR2)  # submitit's
        stop = StopSignals()
        stop.install()
        peers = submitit.helpers.TorchDistributedEnvironment()
        cpus = os.environ.get("SLURM_CPUS_PER_TASK")
        rank = Rank(
            local=here.local_rank,
            node=here.node,
            number=here.global_rank,
            world_size=here.num_tasks,
            address=peers.master_addr,
            port=peers.master_port,
            threads=int(cpus) if cpus else None,
        )
        write_to_log(self._directory, rank)
        status = run_rank(self._directory, rank, self._command, stop)
        if stop.received == signal.SIGUSR2 and status == 128 + signal.SIGUSR2:
            self._again(rank, requeue)
        leave(status)

    def checkpoint(self) -> Any:
        """Return what submitit is to run after the requeue: the same, for the run's folder says where to go on."""
        return submitit.helpers.DelayedSubmission(SlurmTask(self._directory, self._command))

    def _again(self, rank: Rank, requeue: Any) -> None:
        """Have the job requeued by rank 0; the others wait for Slurm to end them, for what returns counts as done."""
        if rank.number:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            time.sleep(_REQUEUED_SECONDS)
            return
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            requeue(signal.SIGUSR2, None)  # leaves by SystemExit
        except Exception as error:  # submitit's, when the job has timed out too often
            record = read_record(self._directory)
            failure = Failure(
                type="Timeout",
                message=f"{error}: raise hydra.launcher.timeout_min or max_num_timeout, then the same command goes on "
                "from the checkpoint",
            )
            changes = {"status": "timeout", "failure": failure, "finished_at": now()}
            record.model_copy(update=changes).write(self._directory)
