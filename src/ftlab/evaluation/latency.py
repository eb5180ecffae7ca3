"""Inference latency of a trained model, with its adapter unmerged and merged into the base."""

import time
import warnings
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from lightning import LightningDataModule
from lightning.pytorch.strategies import Strategy
from torch import nn

from ftlab.core.batch import Batch, model_inputs
from ftlab.core.errors import UserError, reason
from ftlab.methods.base import TuningMethod
from ftlab.record import Latency

MEASUREMENTS = 4  # of one example and of a batch, with the adapter apart and merged
_REPEATS = 5
_SECONDS = 3.0  # time limit for the repeats of one measurement; the first always runs


def measure_latency(
    method: TuningMethod,
    model: nn.Module,
    datamodule: LightningDataModule,
    strategy: Strategy,
    *,
    quantised: bool,
    advance: Callable[[], None] = lambda: None,
) -> Latency:
    """Return seconds per example. The adapter may be merged into the model afterwards: do not use it further.

    Args:
        method: computes the logits and merges.
        model: as trained, in the process that trained it.
        datamodule: provides test examples.
        strategy: of the trainer; has the device and the precision, and has moved the model off the device.
        quantised: whether the base is quantised; merging would then round its weights again.
        advance: called after each measurement, of which there are `MEASUREMENTS` at most.
    """
    loader = datamodule.test_dataloader()
    count = min(loader.batch_size or 1, len(loader.dataset))
    batch: Batch = loader.collate_fn([loader.dataset[index] for index in range(count)])
    single: list[Batch] = [loader.collate_fn([loader.dataset[index]]) for index in range(min(_REPEATS, count))]
    measured: dict[str, Any] = {"batch_size": count}
    try:
        measured |= {"single_example_s": _seconds(method, model, single, strategy)}
        advance()
        measured |= {"batched_s": _seconds(method, model, [batch] * _REPEATS, strategy) / count}
        advance()
    except RuntimeError as error:  # out of memory; the run itself has succeeded
        return Latency(**measured, status=reason(error), merged_status="not tried")
    if quantised or method.loading_code is None:
        why = "a quantised base is not merged" if quantised else "the base's own weights train: nothing to merge"
        return Latency(**measured, merged_status=why)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PEFT's warnings about merging concern those who keep the merged model
            merged = method.merge(model)
        measured |= {"merged_single_example_s": _seconds(method, merged, single, strategy)}
        advance()
        measured |= {"merged_batched_s": _seconds(method, merged, [batch] * _REPEATS, strategy) / count}
    except UserError:
        return Latency(**measured, merged_status="cannot be merged into the base")
    except RuntimeError as error:
        return Latency(**measured, merged_status=reason(error))
    return Latency(**measured)


@torch.inference_mode()
def _seconds(method: TuningMethod, model: nn.Module, batches: list[Batch], strategy: Strategy) -> float:
    """Return the median time of a forward pass over these batches, after a warm-up."""
    device = strategy.root_device
    if next(model.parameters()).device != device:
        nn.Module.to(model, device)  # Transformers' `to` refuses quantised models
    model.eval()
    durations: list[float] = []
    measuring_since = time.perf_counter()
    for batch in [batches[0], *batches]:  # the first pass is the warm-up
        inputs = model_inputs(batch, device)
        started = _now(device)
        with strategy.precision_plugin.forward_context():
            method.forward(model, inputs)
        durations.append(_now(device) - started)
        if len(durations) > 1 and time.perf_counter() - measuring_since > _SECONDS:
            break
    return median(durations[1:])


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
