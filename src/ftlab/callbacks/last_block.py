"""While a model trains, its last block is worked out for the one token that its head reads."""

from typing import Any

from ftlab import budgets
from ftlab.callbacks.standing_in import StandingIn
from ftlab.callbacks.trunk import TrunkCache, probe_of
from ftlab.data.base import DataModule
from ftlab.data.mixture import MixtureData
from ftlab.flops import Work
from ftlab.models.last_block import LastBlock, last_block
from ftlab.schema import RunConfig
from ftlab.tasks.base import TaskModule


class OneToken(StandingIn):
    """Stands in for the last block.

    Attributes:
        spared: the parameters that all tokens but an example's first are no more multiplied with.
    """

    def __init__(self, last: LastBlock, spared: Work) -> None:
        """Take the block, and what it spares."""
        super().__init__(last.first_token)
        self.spared = spared


def one_token(
    config: RunConfig, rows: DataModule | MixtureData, module: TaskModule[Any], trunk: list[TrunkCache]
) -> list[OneToken]:
    """Return what works the last block out for the first token alone.

    None where that is not the same, or where a kept trunk has the whole block.

    Args:
        config: of the run.
        rows: tokenized.
        module: what trains, on the CPU.
        trunk: that is kept; one or none.
    """
    if not config.one_token or not module.trainable or isinstance(rows, MixtureData):
        return []
    last = last_block(module.model)
    if last is None or (trunk and not any(weight.requires_grad for weight in last.block.parameters())):
        return []
    if not last.suffices(module.model, module.method.forward, probe_of(rows, module)):
        return []
    return [OneToken(last, budgets.work_of(module.method, module.model, parts=last.parts))]
