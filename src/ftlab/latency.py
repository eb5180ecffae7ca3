"""How long a trained model takes for an example: with its adapter beside the base, and folded into it."""

import time
import warnings
from statistics import median
from typing import Any

import torch
from lightning import LightningDataModule
from lightning.pytorch.strategies import Strategy
from torch import nn

from ftlab.data.collate import inputs_of
from ftlab.errors import UserError
from ftlab.methods.base import Batch, TuningMethod
from ftlab.record import Latency

_REPEATS = 5
_SECONDS = 3.0  # for the repeats of one measurement; the first is always made


def measure(
    method: TuningMethod, model: nn.Module, rows: LightningDataModule, strategy: Strategy, *, quantised: bool
) -> Latency:
    """Return seconds per example. The model may be a merged one afterwards, and is of no other use.

    Args:
        method: computes the logits and merges.
        model: as trained, where it was trained.
        rows: whose test split is read.
        strategy: of the trainer, which knows the device and the precision; it has taken the model off the device.
        quantised: whether the base is, so that nothing can be folded into it without another rounding.
    """
    loader = rows.test_dataloader()
    count = min(loader.batch_size or 1, len(loader.dataset))
    batch: Batch = loader.collate_fn([loader.dataset[number] for number in range(count)])
    alone: list[Batch] = [loader.collate_fn([loader.dataset[number]]) for number in range(min(_REPEATS, count))]
    found: dict[str, Any] = {"batch_size": count}
    try:
        found |= {"one_s": _seconds(method, model, alone, strategy)}
        found |= {"batch_s": _seconds(method, model, [batch] * _REPEATS, strategy) / count}
    except RuntimeError as error:  # out of memory: the run itself is done
        return Latency(**found, status=_first_line(error), merged_status="not tried")
    if quantised or method.loading is None:
        why = "a quantised base is not merged" if quantised else "the base's own weights train: nothing to merge"
        return Latency(**found, merged_status=why)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what PEFT says of merging is for those who keep the result
            merged = method.merge(model)
        found |= {"merged_one_s": _seconds(method, merged, alone, strategy)}
        found |= {"merged_batch_s": _seconds(method, merged, [batch] * _REPEATS, strategy) / count}
    except UserError:
        return Latency(**found, merged_status="cannot be merged into the base")
    except RuntimeError as error:
        return Latency(**found, merged_status=_first_line(error))
    return Latency(**found)


@torch.inference_mode()
def _seconds(method: TuningMethod, model: nn.Module, batches: list[Batch], strategy: Strategy) -> float:
    """Return the median seconds of a forward pass over each of these, once warm."""
    device = strategy.root_device
    if next(model.parameters()).device != device:
        nn.Module.to(model, device)  # Transformers' own `to` refuses quantised models
    model.eval()
    taken: list[float] = []
    begun = time.perf_counter()
    for inputs in [batches[0], *batches]:  # the first one warms up
        there = inputs_of(inputs, device)
        started = _now(device)
        with strategy.precision_plugin.forward_context():
            method.forward(model, there)
        taken.append(_now(device) - started)
        if len(taken) > 1 and time.perf_counter() - begun > _SECONDS:
            break
    return median(taken[1:])


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
