"""Cache of frozen layers' activations: they run once for each row, and later passes start above them."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import nn

from ftlab.core.batch import model_inputs
from ftlab.core.callback import run_stages
from ftlab.core.run_stage import Stage
from ftlab.data.base import DataModule
from ftlab.data.encoding.example import Example
from ftlab.data.loading.batches import CollateFunction
from ftlab.data.mixture import MixtureData
from ftlab.models.flops import inference_flops
from ftlab.models.frozen_prefix import (
    FrozenModules,
    FrozenPrefix,
    Inputs,
    find_frozen_modules,
    override_forward,
    split_frozen_prefix,
)
from ftlab.train.callbacks.cost import all_reduce_sum
from ftlab.train.speedups.activation_store import ActivationStore, choose_store
from ftlab.train.speedups.speedup import ReadyTraining, Speedup


@dataclass(frozen=True)
class CachedSplits:
    """Splits whose rows go through the model often enough to cache their activations.

    Attributes:
        training: whether to cache the training rows.
        validation: whether to cache the validation rows.
    """

    training: bool
    validation: bool


class FrozenPrefixCache(Speedup):
    """Callback that overrides the model's forward pass during training; before and after, the model is unchanged.

    The key of a row is a hash of its tokens, not its index, so any other text is another row. The activations of the
    training rows are computed before the first step, in an order that does not depend on the sampler, so that a resumed
    run has the same ones bit by bit; those of validation rows are computed in the first validation.

    Attributes:
        description: of the cache, for the log.
    """

    replaces_frozen_layers = True

    def __init__(
        self,
        frozen_prefix: FrozenPrefix,
        store: ActivationStore,
        cached_splits: CachedSplits,
        *,
        examples: Sequence[Example],
        collate: CollateFunction,
        batch_size: int,
        skipped_params: int,
        description: str,
    ) -> None:
        """Take the split model and the rows to cache.

        Args:
            frozen_prefix: the model, split into frozen layers and the rest.
            store: for the activations.
            cached_splits: whose rows to cache.
            examples: of training.
            collate: makes batches of them.
            batch_size: rows per forward pass that fills the cache.
            skipped_params: parameters of the frozen layers that each token is multiplied with.
            description: see above.
        """
        self._skipped_tokens = 0  # of training, minus those that filled the cache; of this process
        self._skipped_params = skipped_params
        self.description = description
        self._frozen_prefix = frozen_prefix
        self._store: ActivationStore | None = store
        self._cached_splits = cached_splits
        self._examples = examples
        self._collate = collate
        self._batch_size = batch_size
        self._model: nn.Module | None = None
        self._trainer: Trainer | None = None
        self._device = torch.device("cpu")
        self._active_patches = ExitStack()

    def state_dict(self) -> dict[str, Any]:
        """Return the skipped tokens so far, over all ranks; every rank must call this."""
        # the key is that of older checkpoints
        return {"saved": all_reduce_sum(self._skipped_tokens, self._device)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        if not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0:
            self._skipped_tokens = state_dict["saved"]

    def spared_flops(self, *, examples: int, tokens: int) -> float:
        """See `RunCallback`."""
        return inference_flops(self._skipped_params, all_reduce_sum(self._skipped_tokens, self._device))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Fill the cache with the training rows and override the model's forward pass."""
        self._trainer, self._model, self._device = trainer, pl_module.get_submodule("model"), pl_module.device
        if self._cached_splits.training:
            stages = run_stages(trainer)
            with stages.within(Stage.CACHING, len(self._examples)), trainer.precision_plugin.forward_context():
                self._fill(stages.advance)
        self._active_patches.enter_context(override_forward([self._model], self._cached_forward))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restore the model's forward pass and free the cache."""
        self._restore()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Restore the model's forward pass and free the cache."""
        self._restore()

    def _restore(self) -> None:
        self._active_patches.close()
        self._store = self._model = self._trainer = None

    def _fill(self, advance: Callable[[int], None]) -> None:
        lengths = np.array([len(example.input_ids) for example in self._examples])
        order = np.argsort(-lengths, kind="stable").tolist()  # longest first: if memory runs out, it does so at once
        for start in range(0, len(order), self._batch_size):
            indices = order[start : start + self._batch_size]
            batch = self._collate([(index, self._examples[index]) for index in indices])
            inputs = model_inputs(batch, self._device)
            self._compute_and_store(cache_keys(inputs), inputs)
            self._skipped_tokens -= int(inputs["attention_mask"].sum())
            advance(len(indices))

    def _compute_and_store(self, keys: list[bytes], inputs: Inputs) -> None:
        assert self._store is not None
        for key, states in zip(keys, self._frozen_prefix.compute_states(inputs), strict=True):
            if key not in self._store:  # keep the first result, as a resumed run does too
                self._store[key] = states

    def _cached_forward(self, *args: Any, **inputs: Any) -> Any:
        """Compute what the model's forward pass does, from cached activations if they exist."""
        assert self._store is not None
        assert self._model is not None
        assert self._trainer is not None
        if args or not self._frozen_prefix.accepts(inputs):
            return self._frozen_prefix.model_forward(*args, **inputs)
        keys, training = cache_keys(inputs), self._model.training
        if not all(key in self._store for key in keys):
            # in evaluation mode, a reference model may read training rows, for which the store has no place
            if not (self._cached_splits.validation and self._trainer.validating):
                return self._frozen_prefix.model_forward(**inputs)
            self._compute_and_store(keys, inputs)
        elif training:
            self._skipped_tokens += int(inputs["attention_mask"].sum())
        device = inputs["input_ids"].device
        return self._frozen_prefix.forward_from_states(inputs, [self._store[key].to(device) for key in keys])


def cache_keys(inputs: Inputs) -> list[bytes]:
    """Return a key for each row: a 16-byte hash of its tokens and their segments, without padding."""
    hashed = [inputs[name].cpu() for name in ("input_ids", "token_type_ids") if name in inputs]
    mask = inputs["attention_mask"].bool().cpu()
    return [
        blake2b(b"".join(tensor[row, tokens].numpy().tobytes() for tensor in hashed), digest_size=16).digest()
        for row, tokens in enumerate(mask)
    ]


def build(training: ReadyTraining, earlier: Sequence[Speedup]) -> FrozenPrefixCache | None:
    """Return the cache of the frozen layers' activations; None if it is switched off or would save nothing."""
    config, module = training.config, training.module
    if config.speed.frozen_layers == "off" or config.plan is True or not module.trainable:
        return None
    cached_splits = _splits_to_cache(training)
    if not (cached_splits.training or cached_splits.validation):
        return None
    frozen = find_frozen_modules(module.model, module.method.forward)
    if frozen is None or not frozen.cacheable:
        return None
    cache = _reason_not_to_cache(training) or _build_cache(training, frozen, cached_splits)
    if isinstance(cache, str):
        training.log(f"frozen layers: computed anew in each pass, because {cache}")
        return None
    training.log(f"frozen layers: computed once for each row, {cache.description}")
    return cache


def _build_cache(
    training: ReadyTraining, frozen: FrozenModules, cached_splits: CachedSplits
) -> FrozenPrefixCache | str:
    """Return the cache, or the reason why there is none."""
    speed, datamodule = training.config.speed, training.datamodule
    assert isinstance(datamodule, DataModule)
    frozen_prefix = split_frozen_prefix(training.module.model, frozen, training.half_padded_batch())
    if isinstance(frozen_prefix, str):
        return frozen_prefix
    enabled = (("train", cached_splits.training), ("val", cached_splits.validation))
    splits = [split for split, is_cached in enabled if is_cached]
    num_vectors = sum(
        int(datamodule.token_counts(split)[0].sum()) if frozen_prefix.per_token else datamodule.rows[split]
        for split in splits
    )
    needed = num_vectors * frozen_prefix.width * frozen_prefix.dtype.itemsize
    store = choose_store(
        needed,
        training.directory,
        memory_gb=speed.frozen_layers_memory_gb,
        disk_gb=speed.frozen_layers_disk_gb,
        processes=training.devices.per_node,
    )
    if isinstance(store, str):
        return store
    return FrozenPrefixCache(
        frozen_prefix,
        store,
        cached_splits,
        examples=datamodule.examples("train"),
        collate=datamodule.collate,
        batch_size=datamodule.loading.micro_batch_size,
        skipped_params=frozen.matmul_params,
        description=f"{needed / 10**6:,.1f} MB in {store.location} ({' and '.join(splits)} rows)",
    )


def _splits_to_cache(training: ReadyTraining) -> CachedSplits:
    """Return the splits that a process reads at least twice; filling the cache reads all training rows once."""
    if training.steps is None:
        return CachedSplits(training=False, validation=False)
    loading, train_rows = training.datamodule.loading, training.datamodule.rows["train"]
    rows_per_process = training.steps * loading.batch_size / loading.world_size
    return CachedSplits(training=rows_per_process >= 2 * train_rows, validation=training.validations >= 2)


def _reason_not_to_cache(training: ReadyTraining) -> str | None:
    reasons = {
        "mixtures are not cached": isinstance(training.datamodule, MixtureData),
        "packed examples share rows (optim.packing)": training.config.optim.packing,
        "the masked tokens change from epoch to epoch": training.module.task.kind.masks,
        "the weights are sharded (hardware.strategy=fsdp)": training.devices.sharded,
        "int8 weights round a row by the other rows of its batch": training.config.quant.name == "int8",
    }
    return next((reason for reason, applies in reasons.items() if applies), None)
