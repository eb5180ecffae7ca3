"""Builder of the data of a run: one data set, or a mixture of several."""

from collections.abc import Callable

import torch

from ftlab.config.run_config import RunConfig
from ftlab.data.base import DataModule
from ftlab.data.dataset import build_dataset
from ftlab.data.mixture import MixtureData, build_mixture

# Smallest number of tokens of a forward pass: small matrix products take longer per token. Without per-token logits the
# gradients of the weights, computed once per pass, are a larger part of the time.
_MIN_TOKENS, _MIN_TOKENS_LANGUAGE_MODEL = 1024, 512


def build_data(config: RunConfig, rank: int = 0) -> DataModule | MixtureData:
    """Return the data of a run; see `build_dataset` and `build_mixture`.

    Args:
        config: configuration of the run.
        rank: index of this process among those of the run.
    """
    make: Callable[..., DataModule | MixtureData] = build_mixture if config.dataset.kind.mixture else build_dataset
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
    """Return the maximum number of tokens of a forward pass in training; None if micro-batches are not split.

    On the CPU, `auto` is the maximum length of an example, but at least 1,024 (language models: 512). On a GPU, where
    such small passes would leave it mostly idle and the best size has not been measured, `auto` is None.
    """
    setting, accelerator = config.micro_batch_tokens, config.hardware.accelerator
    if setting != "auto":
        return setting
    on_cpu = accelerator == "cpu" or (accelerator == "auto" and not torch.cuda.is_available())
    minimum = _MIN_TOKENS_LANGUAGE_MODEL if config.dataset.kind.head.predicts_tokens else _MIN_TOKENS
    return max(minimum, config.max_length) if on_cpu else None
