"""Callback that patches a part of the model during training; before and after, the model is unchanged."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack

from lightning.pytorch import LightningModule, Trainer

from ftlab.train.speedups.speedup import Speedup


class PatchedForward(Speedup):
    """Enters a context manager at the start of training and exits it at the end; validations are inside."""

    def __init__(self, patch: Callable[[], AbstractContextManager[None]]) -> None:
        """Take a function that returns the context manager."""
        self._patch = patch
        self._active_patches = ExitStack()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Apply the patch."""
        self._active_patches.enter_context(self._patch())

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remove the patch."""
        self._active_patches.close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Remove the patch."""
        self._active_patches.close()
