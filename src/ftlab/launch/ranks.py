"""The processes of one job: what tells them apart, and what none of them may inherit."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

# What a launcher of ranks leaves in the environment: a job that inherits it takes itself for a rank of another job.
VARIABLES = (
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
    """The place of a process among those of its job.

    Attributes:
        local: number on its node.
        node: number of the node.
        number: number among all.
        world_size: how many there are.
        address: host of rank 0.
        port: where rank 0 listens for the others.
        gpus: the only devices that the job may see, as CUDA_VISIBLE_DEVICES names them; None: all.
        threads: CPU threads, where the configuration leaves them open; None: all.
    """

    local: int = 0
    node: int = 0
    number: int = 0
    world_size: int = 1
    address: str = "127.0.0.1"
    port: int = 0
    gpus: tuple[str, ...] | None = None
    threads: int | None = None

    def enter(self) -> None:
        """Make this process that rank, and no other."""
        for name in VARIABLES:
            os.environ.pop(name, None)
        os.environ.update(self._environment())

    def _environment(self) -> Mapping[str, str]:
        visible = {} if self.gpus is None else {"CUDA_VISIBLE_DEVICES": ",".join(self.gpus)}
        if self.world_size == 1:
            return visible
        return {
            **visible,
            "LOCAL_RANK": str(self.local),
            "NODE_RANK": str(self.node),
            "RANK": str(self.number),
            "WORLD_SIZE": str(self.world_size),
            "MASTER_ADDR": self.address,
            "MASTER_PORT": str(self.port),
        }


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
