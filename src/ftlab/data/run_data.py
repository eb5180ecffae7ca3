"""The data of a run: one data set, or several as one."""

from collections.abc import Callable

import torch

from ftlab import data
from ftlab.data import mixture
from ftlab.data.base import DataModule
from ftlab.data.mixture import MixtureData
from ftlab.schema import RunConfig

# Tokens of a forward pass: products of smaller matrices take longer per token. Where logits are few, the gradients of
# weights, once for each pass, weigh more.
_LEAST, _LEAST_OF_LANGUAGE = 1024, 512
_LANGUAGE = ("instruction", "seq2seq", "text", "masked_lm")  # tasks whose losses are those of tokens


def of_run(config: RunConfig, rank: int = 0) -> DataModule | MixtureData:
    """Return the data of a run, or of its parts, as `build` does; `rank`: which of its processes this is."""
    make: Callable[..., DataModule | MixtureData] = mixture.build if config.dataset.parts else data.build
    return make(
        config.dataset,
        budget=config.budget,
        max_length=config.max_length,
        seed=config.seed,
        micro_batch_size=config.micro_batch_size,
        eval_batch_size=config.hardware.eval_batch_size,
        num_workers=config.hardware.num_workers,
        rank=rank,
        world_size=config.hardware.world_size,
        accumulate=config.optim.accumulate,
        group_by_length=config.optim.group_by_length,
        packing=config.optim.packing,
        micro_batch_tokens=micro_batch_tokens(config),
    )


def micro_batch_tokens(config: RunConfig) -> int | None:
    """Return the most tokens of a run's forward passes in training; None: its micro-batches stay whole.

    `auto` is the length of the longest row that there may be, 1,024 at least (language models: 512), on the CPU. A GPU
    would be idle for most of so small a pass, and how many tokens it wants has not been measured: there, micro-batches
    stay whole.
    """
    asked, accelerator = config.micro_batch_tokens, config.hardware.accelerator
    if asked != "auto":
        return asked
    on_cpu = accelerator == "cpu" or (accelerator == "auto" and not torch.cuda.is_available())
    least = _LEAST_OF_LANGUAGE if config.dataset.task in _LANGUAGE else _LEAST
    return max(least, config.max_length) if on_cpu else None
