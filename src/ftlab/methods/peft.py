"""Methods that Hugging Face's PEFT implements: what they share, and the class for any of them."""

import warnings
from abc import abstractmethod
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

from peft import PeftConfig, PeftModel, get_peft_model, prepare_model_for_kbit_training
from torch import nn

from ftlab.errors import ConfigError, UserError
from ftlab.methods.base import TuningMethod
from ftlab.models.load import Base
from ftlab.tasks.spec import Task


@dataclass(kw_only=True)
class PeftMethod(TuningMethod):
    """A method that PEFT implements; a subclass says with which configuration.

    The new classification head of a fresh base trains along (PEFT's `modules_to_save`), as in every PEFT example.
    """

    @abstractmethod
    def peft_config(self, base: Base, task: Task) -> PeftConfig:
        """Return a PEFT configuration of its own for this base; the task type is set by the caller."""

    def apply(self, base: Base, task: Task) -> nn.Module:
        """Wrap the base; only the adapter and the new head train."""
        config = self.peft_config(base, task)
        config.task_type = task.peft_type
        model = base.model
        if getattr(model, "is_quantized", False):
            model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
        try:
            with warnings.catch_warnings():  # GPT-2's Conv1D: PEFT corrects the setting itself
                warnings.filterwarnings("ignore", message="fan_in_fan_out is set to False")
                return get_peft_model(model, config)
        except ValueError as error:
            raise UserError(f"{type(config).__name__} does not fit this model: {str(error).splitlines()[0]}") from error

    def export(self, model: nn.Module, directory: Path, trainable: list[str]) -> None:
        """Write PEFT's own adapter folder, loadable by `PeftModel.from_pretrained`."""
        assert isinstance(model, PeftModel)
        model.save_pretrained(str(directory), save_embedding_layers=False)

    def restore(self, base: Base, task: Task, directory: Path) -> nn.Module:
        """Load the adapter folder onto a fresh base with plain PEFT."""
        return PeftModel.from_pretrained(base.model, str(directory))


@dataclass(kw_only=True)
class Peft(PeftMethod):
    """Any PEFT method: its configuration decides which.

    Attributes:
        config: e.g. `peft.LoraConfig`, with the names and defaults of PEFT; the task type is set here.
    """

    config: PeftConfig

    def __post_init__(self) -> None:
        """Refuse anything but a PEFT configuration."""
        if not isinstance(self.config, PeftConfig):
            raise ConfigError("method.config is not a PEFT configuration: give it a _target_ such as peft.LoraConfig.")

    def peft_config(self, base: Base, task: Task) -> PeftConfig:
        """See `PeftMethod`."""
        return deepcopy(self.config)  # PEFT resolves and writes target modules into it
