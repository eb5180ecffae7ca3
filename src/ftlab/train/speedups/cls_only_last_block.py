"""Callback that computes an encoder's last block for the first ([CLS]) token only, during training."""

from typing import Any

from ftlab.config.run_config import RunConfig
from ftlab.data.base import DataModule
from ftlab.data.mixture import MixtureData
from ftlab.methods.work import matmul_params_in_training
from ftlab.models.cls_only_block import ClsOnlyBlock, find_cls_only_block
from ftlab.models.flops import MatmulParams
from ftlab.tasks.base import TaskModule
from ftlab.train.speedups.frozen_prefix_cache import FrozenPrefixCache, half_padded_batch
from ftlab.train.speedups.patched_forward import PatchedForward


class ClsOnlyLastBlock(PatchedForward):
    """Replaces the last block by one that computes the first token only.

    Attributes:
        skipped_work: the parameters that are no longer multiplied with tokens other than an example's first.
    """

    def __init__(self, block: ClsOnlyBlock, skipped_work: MatmulParams) -> None:
        """Take the block and the work that it skips."""
        super().__init__(block.cls_only)
        self.skipped_work = skipped_work


def build_cls_only_last_block(
    config: RunConfig,
    datamodule: DataModule | MixtureData,
    module: TaskModule[Any],
    frozen_prefix: list[FrozenPrefixCache],
) -> list[ClsOnlyLastBlock]:
    """Return the callback, or an empty list if it would change results or the cache of frozen layers has the block.

    Args:
        config: of the run.
        datamodule: tokenized.
        module: the task module, on the CPU.
        frozen_prefix: cache of frozen layers; optional.
    """
    if not config.cls_only_last_block or not module.trainable or isinstance(datamodule, MixtureData):
        return []
    block = find_cls_only_block(module.model)
    if block is None or (frozen_prefix and not any(weight.requires_grad for weight in block.block.parameters())):
        return []
    if not block.only_cls_is_read(module.model, module.method.forward, half_padded_batch(datamodule, module)):
        return []
    return [
        ClsOnlyLastBlock(block, matmul_params_in_training(module.method, module.model, modules=block.skipped_modules))
    ]
