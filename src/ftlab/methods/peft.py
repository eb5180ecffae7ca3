"""Methods that Hugging Face's PEFT implements: what they share, and the class for any of them."""

import warnings
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten

import torch
from peft import PeftConfig, PeftModel, get_peft_model, prepare_model_for_kbit_training
from peft.tuners.tuners_utils import BaseTuner
from peft.utils.other import AuxiliaryTrainingWrapper
from torch import nn
from transformers import PreTrainedModel

from ftlab.errors import ConfigError, UserError, did_you_mean
from ftlab.methods.base import Batch, TuningMethod
from ftlab.models.load import Base
from ftlab.models.structure import attention_projections, has_new_head, head_modules
from ftlab.tasks.spec import Task

TARGETS = ("attention", "all-linear")

Target = str | list[str] | None

_LEAVE_THE_BASE = (True, False, "gaussian", "eva")  # of LoRA's initialisations; PiSSA, OLoRA, CorDA, LoftQ do not


@dataclass(kw_only=True)
class PeftMethod(TuningMethod):
    """A method that PEFT implements; a subclass says with which configuration.

    The new classification head of a fresh base trains along (PEFT's `modules_to_save`), as in every PEFT example.
    """

    loading = ("from peft import PeftModel", "PeftModel.from_pretrained(base, {folder})")

    @abstractmethod
    def peft_config(self, base: Base, task: Task) -> PeftConfig:
        """Return a PEFT configuration of its own for this base; task type and head are set by the caller."""

    def initialise(self, model: PeftModel, base: Base) -> None:
        """Change what PEFT made, where its configuration cannot say it; the default leaves it as it is."""

    def before_export(self, model: PeftModel) -> None:
        """Bring the configuration of a trained adapter in line with its weights, which are written next."""

    def after_restore(self, model: PeftModel) -> None:
        """Give an adapter that PEFT has loaded the shape in which it was trained."""

    def apply(self, base: Base, task: Task) -> nn.Module:
        """Wrap the base; only the adapter and the new head train."""
        config = self.peft_config(base, task)
        config.task_type = task.peft_type
        if hasattr(config, "modules_to_save"):  # PEFT itself knows no heads but those named classifier and score
            config.modules_to_save = [*(config.modules_to_save or []), *_new_head(base.model)]
        try:
            with _quiet():
                adapted = get_peft_model(_prepared(base.model), config)
        except (ValueError, TypeError) as error:
            reason = shorten(str(error), width=200, placeholder=" …").rstrip(".")
            other = "choose other layers with method.target, or " if hasattr(config, "target_modules") else "use "
            raise UserError(
                f"{type(config).__name__} does not fit {_kind(base.model)}: {reason}; {other}method=lora, which fits "
                "every model."
            ) from error
        assert isinstance(adapted, PeftModel)
        base.model.disable_input_require_grads()  # see `models.load`; PEFT asks for them again
        self.initialise(adapted, base)
        return adapted

    def bare(self, model: nn.Module, batch: Batch) -> torch.Tensor | None:
        """Have PEFT switch the adapter off; None of those whose start moves a part of the base's weights into it."""
        assert isinstance(model, PeftModel)
        if getattr(model.active_peft_config, "init_lora_weights", True) not in _LEAVE_THE_BASE:
            return None
        with _switched_off(model):
            logits: torch.Tensor = model.base_model(**batch).logits
        return logits

    def export(self, model: nn.Module, directory: Path, trainable: list[str]) -> None:
        """Write PEFT's own adapter folder, loadable by `PeftModel.from_pretrained`."""
        assert isinstance(model, PeftModel)
        self.before_export(model)
        with _quiet(), torch.no_grad():  # as in evaluation: a prompt encoder's LSTM rounds otherwise with gradients
            model.save_pretrained(str(directory), save_embedding_layers=False)

    def merge(self, model: nn.Module) -> nn.Module:
        """Let PEFT fold the adapter in; soft prompts and some others have nothing that could be."""
        assert isinstance(model, PeftModel)
        merge = getattr(model.base_model, "merge_and_unload", None)
        if merge is None or model.active_peft_config.is_prompt_learning:
            return super().merge(model)
        try:
            merged: nn.Module = merge(safe_merge=True)  # refuses weights that are no numbers
        # AttributeError: PEFT's way to fail on a new head of several layers (T5's), for all but the LoRA family
        except (ValueError, NotImplementedError, AttributeError) as error:
            raise UserError(f"PEFT cannot merge this adapter: {error} (leave --merge out).") from error
        return merged

    def restore(self, base: Base, task: Task, directory: Path) -> nn.Module:
        """Load the adapter folder onto a fresh base with plain PEFT."""
        with _quiet():
            model = PeftModel.from_pretrained(_prepared(base.model), str(directory))
        self.after_restore(model)
        return model


@dataclass(kw_only=True)
class Peft(PeftMethod):
    """Any PEFT method: its configuration decides which.

    Attributes:
        config: e.g. `peft.LoraConfig`, with the names and defaults of PEFT; task type and head are set here.
        target: the layers that are adapted, see `target_modules`.
    """

    config: PeftConfig
    target: Target = None

    def __post_init__(self) -> None:
        """Refuse anything but a PEFT configuration, and targets that it has no place for."""
        if not isinstance(self.config, PeftConfig):
            raise ConfigError("method.config is not a PEFT configuration: give it a _target_ such as peft.LoraConfig.")
        check_target(self.target)
        if self.target is None:
            return
        if not hasattr(self.config, "target_modules"):
            raise ConfigError(f"method.target has no effect: {type(self.config).__name__} targets no layers.")
        if self.config.target_modules is not None:
            raise ConfigError("method.target and method.config.target_modules say the same thing: set one of them.")

    def peft_config(self, base: Base, task: Task) -> PeftConfig:
        """See `PeftMethod`."""
        config = deepcopy(self.config)  # PEFT resolves and writes target modules into it
        if self.target is not None and hasattr(config, "target_modules"):
            config.target_modules = target_modules(self.target, base.model)
        return config


def check_target(target: Target) -> None:
    """Refuse, without a model, what `target_modules` cannot resolve.

    Raises:
        ConfigError: neither one of `TARGETS`, nor a list of names, nor None.
    """
    if target is None or target in TARGETS:
        return
    if isinstance(target, str):
        hint = did_you_mean(target, TARGETS)
        raise ConfigError(f"method.target={target} is not valid: {hint}; names of layers go in a list, [{target}].")
    if not isinstance(target, list) or not target or not all(isinstance(name, str) and name for name in target):
        raise ConfigError(f"method.target={target} is not valid: give names of layers, such as [query, value].")


def target_modules(target: Target, model: PreTrainedModel) -> Target:
    """Return the layers to adapt in PEFT's terms.

    Args:
        target: `attention` (every projection in it), `all-linear` (every linear layer but the head), or a list of full
            names or their last parts, as PEFT matches them; None is PEFT's own choice for the architecture.
        model: as loaded, with its head.

    Raises:
        UserError: the model has no attention, or no such layer; a new head trains whole and is none.
    """
    if target == "attention":
        found = attention_projections(model)
        if not found:
            raise UserError(f"method.target=attention finds no linear layer of attention in {_kind(model)}.")
        return found
    if not isinstance(target, list):
        return target
    head = tuple(f"{name}." for name in _new_head(model))
    layers = [
        name
        for name, module in model.named_modules()
        if any(True for _ in module.parameters(recurse=False)) and not f"{name}.".startswith(head)
    ]
    for wanted in target:
        if not any(f".{name}".endswith(f".{wanted}") for name in layers):
            hint = did_you_mean(wanted, {name.rpartition(".")[2] for name in layers})
            raise UserError(f"method.target: {wanted} is no layer to adapt in {_kind(model)}: {hint}.")
    return target


def _new_head(model: PreTrainedModel) -> list[str]:
    """Return the modules of a head that was drawn at random, as those of all but language models are."""
    return head_modules(model) if has_new_head(model) else []


def _prepared(model: PreTrainedModel) -> PreTrainedModel:
    if not getattr(model, "is_quantized", False):
        return model
    prepared: PreTrainedModel = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    return prepared


def _kind(model: PreTrainedModel) -> str:
    return type(model).__name__


@contextmanager
def _switched_off(model: PeftModel) -> Iterator[None]:
    """Leave adapter and trained head out; PEFT itself keeps a soft prompt's head, and marks what trains anew."""
    trains = [parameter.requires_grad for parameter in model.parameters()]
    heads = [module for module in model.modules() if isinstance(module, AuxiliaryTrainingWrapper)]
    tuner = model.base_model  # of a soft prompt the base itself, with nothing of the prompt in it
    try:
        for head in heads:
            head.enable_adapters(False)
        if isinstance(tuner, BaseTuner):
            tuner.disable_adapter_layers()
        yield
    finally:
        if isinstance(tuner, BaseTuner):
            tuner.enable_adapter_layers()
        for head in heads:
            head.enable_adapters(True)
        for parameter, wanted in zip(model.parameters(), trains, strict=True):
            parameter.requires_grad_(wanted)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what PEFT says of settings that it corrects itself or that are meant."""
    with warnings.catch_warnings():
        for message in (
            "fan_in_fan_out is set to False",  # GPT-2's Conv1D: corrected
            "Specified to not (save|load) vera_A",  # VeRA's projections come back from their seed
            "The following rank_pattern keys did not match",  # AdaLoRA's are names of parameters, not of layers
            "Initializing zero-element tensors",  # AdaLoRA took all ranks from a matrix
            "Adapter .* tensor.s. have invalid shape",  # the same, when it is saved
        ):
            warnings.filterwarnings("ignore", message=message)
        yield
