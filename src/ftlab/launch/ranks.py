"""Ranks of a distributed job: their place in it, and the environment variables that set it."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

# Set by torchrun, Lightning and other launchers. A job that inherits them would take itself for a rank of another job.
RANK_VARIABLES = (
    "LOCAL_RANK",
    "RANK",
    "GROUP_RANK",
    "NODE_RANK",
    "WORLD_SIZE",
    "LOCAL_WORLD_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
    "PL_GLOBAL_SEED",
)


@dataclass(frozen=True)
class Rank:
    """Position of a process among the ranks of its job.

    Attributes:
        local_rank: rank on its node.
        node_rank: rank of the node.
        global_rank: rank among all processes of the job.
        world_size: number of processes of the job.
        master_addr: host of rank 0.
        master_port: port on which rank 0 listens for the others.
        gpus: the only devices that the job may see, as CUDA_VISIBLE_DEVICES names them; None: all.
        threads: CPU threads, if the configuration does not set them; None: all.
    """

    local_rank: int = 0
    node_rank: int = 0
    global_rank: int = 0
    world_size: int = 1
    master_addr: str = "127.0.0.1"
    master_port: int = 0
    gpus: tuple[str, ...] | None = None
    threads: int | None = None

    def set_environment(self) -> None:
        """Set the environment variables of this rank, and remove those of any other."""
        for name in RANK_VARIABLES:
            os.environ.pop(name, None)
        os.environ.update(self._environment())

    def _environment(self) -> Mapping[str, str]:
        visible = {} if self.gpus is None else {"CUDA_VISIBLE_DEVICES": ",".join(self.gpus)}
        if self.world_size == 1:
            return visible
        return {
            **visible,
            "LOCAL_RANK": str(self.local_rank),
            "NODE_RANK": str(self.node_rank),
            "RANK": str(self.global_rank),
            "WORLD_SIZE": str(self.world_size),
            "MASTER_ADDR": self.master_addr,
            "MASTER_PORT": str(self.master_port),
        }


def free_port() -> int:
    """Return a TCP port on which no process listens now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
