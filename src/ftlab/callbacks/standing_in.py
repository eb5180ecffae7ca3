"""While a model trains, something else stands in for a part of it; before and after, the model is as it was."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack

from lightning.pytorch import Callback, LightningModule, Trainer


class StandingIn(Callback):
    """Holds a context from the first step to the last one, validations on the way included."""

    def __init__(self, stand_in: Callable[[], AbstractContextManager[None]]) -> None:
        """Take what makes the context."""
        self._stand_in = stand_in
        self._standing_in = ExitStack()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stand in from here on."""
        self._standing_in.enter_context(self._stand_in())

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let the model answer for itself again."""
        self._standing_in.close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """The same."""
        self._standing_in.close()
