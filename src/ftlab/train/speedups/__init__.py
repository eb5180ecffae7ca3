"""Speedups of training: a module for each, with a switch in the group `speed`.

They leave a result as it is, up to rounding and, with dropout, the masks that are drawn; where other masks are drawn,
the switch is in the fingerprint. To delete one, delete its module, its entry in `_BUILDERS`, its switch (in the group
`speed` and in conf/train.yaml), and what `RunConfig` and `ftlab.config.fingerprint` say of it.

Three more switches concern how data, tasks and optimizers are built, and are read there: `speed.micro_batch_tokens` in
`ftlab.data.build`, `speed.logits` in `ftlab.tasks.token_losses`, and `speed.fused_adamw` in `ftlab.train.optim`.
"""

from ftlab.train.speedups import cls_only_last_block, frozen_prefix_cache, quick_dropout
from ftlab.train.speedups.speedup import ReadyTraining, Speedup

_BUILDERS = (
    frozen_prefix_cache.build,
    cls_only_last_block.build,  # after the cache: a block that no longer runs cannot be shortened
    quick_dropout.build,
)

__all__ = ["ReadyTraining", "Speedup", "build_speedups"]


def build_speedups(training: ReadyTraining) -> list[Speedup]:
    """Return the speedups that are switched on and leave the results of this training as they are."""
    speedups: list[Speedup] = []
    for build in _BUILDERS:
        speedup = build(training, speedups)
        if speedup is not None:
            speedups.append(speedup)
    return speedups
