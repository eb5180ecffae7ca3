"""Speedup that computes an encoder's last block for the first ([CLS]) token only."""

from collections.abc import Sequence

from ftlab.data.mixture import MixtureData
from ftlab.methods.work import matmul_params_in_training
from ftlab.models.cls_only_block import ClsOnlyBlock, find_cls_only_block
from ftlab.models.flops import MatmulParams
from ftlab.train.speedups.patched_forward import PatchedForward
from ftlab.train.speedups.speedup import ReadyTraining, Speedup


class ClsOnlyLastBlock(PatchedForward):
    """Replaces the last block by one that computes the first token only."""

    def __init__(self, block: ClsOnlyBlock, skipped_work: MatmulParams) -> None:
        """Take the block, and the work that all tokens but an example's first are spared."""
        super().__init__(block.cls_only)
        self._skipped_work = skipped_work

    def spared_flops(self, *, examples: int, tokens: int) -> float:
        """See `RunCallback`."""
        return self._skipped_work.flops(tokens - examples)


def build(training: ReadyTraining, earlier: Sequence[Speedup]) -> ClsOnlyLastBlock | None:
    """Return the callback, or None if it would change results or the cache of frozen layers has the block."""
    module, cached = training.module, any(other.replaces_frozen_layers for other in earlier)
    if not training.config.cls_only_last_block or not module.trainable or isinstance(training.datamodule, MixtureData):
        return None
    block = find_cls_only_block(module.model)
    if block is None or (cached and not any(weight.requires_grad for weight in block.block.parameters())):
        return None
    if not block.only_cls_is_read(module.model, module.method.forward, training.half_padded_batch()):
        return None
    training.log("last block: computed for the first token only, as the head reads no other")
    work = matmul_params_in_training(module.method, module.model, modules=block.skipped_modules)
    return ClsOnlyLastBlock(block, work)
