"""Speedups of training that do not change results: a module for each, with a switch in the group `speed`.

To delete one, delete its module and tests, its entry in `_BUILDERS`, and its switch.

Three more switches concern how data, tasks and optimizers are built, and are read there: `speed.micro_batch_tokens` in
`ftlab.data.build`, `speed.logits` in `ftlab.tasks.token_losses`, and `speed.fused_adamw` in `ftlab.train.optim`.
"""

from ftlab.train.speedups import cls_only_last_block, frozen_prefix_cache, quick_dropout
from ftlab.train.speedups.speedup import Speedup, TrainingSetup

_BUILDERS = (frozen_prefix_cache.build, cls_only_last_block.build, quick_dropout.build)

__all__ = ["Speedup", "TrainingSetup", "build_speedups"]


def build_speedups(setup: TrainingSetup) -> list[Speedup]:
    """Return the speedups that are switched on and keep the results of this training."""
    speedups: list[Speedup] = []
    for build in _BUILDERS:
        speedup = build(setup, speedups)
        if speedup is not None:
            speedups.append(speedup)
    return speedups
