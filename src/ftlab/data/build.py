"""Builder of the data of a run: one data set, or a mixture of several."""

from collections.abc import Callable

from ftlab.config.run_config import RunConfig
from ftlab.data.base import DataModule
from ftlab.data.dataset import build_dataset
from ftlab.data.loading.batches import Loading
from ftlab.data.mixture import MixtureData, build_mixture
from ftlab.models.devices import Devices

# Smallest number of tokens of a forward pass: small matrix products take longer per token. Without per-token logits the
# gradients of the weights, computed once per pass, are a larger part of the time.
_MIN_TOKENS, _MIN_TOKENS_LANGUAGE_MODEL = 1024, 512

RunData = DataModule | MixtureData


def build_data(config: RunConfig, devices: Devices) -> RunData:
    """Return the data of a run; see `build_dataset` and `build_mixture`.

    Args:
        config: configuration of the run.
        devices: for which the training rows are split into batches.
    """
    build: Callable[..., RunData] = build_mixture if config.dataset.kind.mixture else build_dataset
    loading = _loading(config, devices)
    return build(config.dataset, budget=config.budget, loading=loading, max_length=config.max_length)


def _loading(config: RunConfig, devices: Devices) -> Loading:
    return Loading(
        micro_batch_size=config.micro_batch_size,
        eval_batch_size=config.hardware.eval_batch_size,
        num_workers=config.hardware.num_workers,
        seed=config.seed,
        rank=devices.rank,
        world_size=devices.world_size,
        accumulate=config.optim.accumulate,
        group_by_length=config.optim.group_by_length,
        packing=config.optim.packing,
        micro_batch_tokens=micro_batch_tokens(config, devices),
        pin_memory=devices.accelerator == "gpu",
    )


def micro_batch_tokens(config: RunConfig, devices: Devices) -> int | None:
    """Return the maximum number of tokens of a forward pass in training; None if micro-batches are not split.

    On the CPU, `auto` is the maximum length of an example, but at least 1,024 (language models: 512). On a GPU, where
    such small passes would leave it mostly idle and the best size has not been measured, `auto` is None.
    """
    setting = config.micro_batch_tokens
    if setting != "auto":
        return setting
    minimum = _MIN_TOKENS_LANGUAGE_MODEL if config.dataset.kind.head.predicts_tokens else _MIN_TOKENS
    return max(minimum, config.max_length) if devices.accelerator == "cpu" else None
