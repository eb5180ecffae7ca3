"""Methods that Hugging Face's PEFT implements: their base class, and a class for any PEFT configuration."""

import warnings
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import PeftConfig, PeftModel, get_peft_model, prepare_model_for_kbit_training
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from peft.utils.other import AuxiliaryTrainingWrapper
from torch import nn
from transformers import PreTrainedModel

from ftlab.config.task import Task
from ftlab.core.batch import Batch
from ftlab.core.errors import ConfigError, UserError, did_you_mean, reason
from ftlab.methods.base import TuningMethod
from ftlab.models.load import Base
from ftlab.models.structure import attention_projections, has_new_head, head_modules, new_modules

TARGETS = ("attention", "all-linear")

Target = str | list[str] | None

# values of `init_lora_weights` that do not change the base weights; PiSSA, OLoRA, CorDA, LoftQ do
_INITS_KEEPING_BASE = (True, False, "gaussian", "eva")


@dataclass(kw_only=True)
class PeftMethod(TuningMethod):
    """A method that PEFT implements; a subclass returns its configuration.

    The new classification head of the base model is trained too (PEFT's `modules_to_save`), as in all PEFT examples.
    """

    loading_code = ("from peft import PeftModel", "PeftModel.from_pretrained(base, {folder})")

    @abstractmethod
    def peft_config(self, base: Base, task: Task) -> PeftConfig:
        """Return a new PEFT configuration for this base model; `apply` sets task type and head in it."""

    def initialise(self, model: PeftModel, base: Base) -> None:
        """Change the model that PEFT returned, for what its configuration cannot express; by default, do nothing."""

    def before_export(self, model: PeftModel) -> None:
        """Update the configuration of a trained adapter from its weights, before both are written."""

    def after_restore(self, model: PeftModel) -> None:
        """Restore the shapes that an adapter had in training, after PEFT loaded it."""

    def apply(self, base: Base, task: Task) -> nn.Module:
        """Wrap the base model; only the adapter and the new head train."""
        config = self.peft_config(base, task)
        config.task_type = task.head.peft_type
        if hasattr(config, "modules_to_save"):  # PEFT itself only finds heads named classifier or score
            config.modules_to_save = [*(config.modules_to_save or []), *_new_head_modules(base.model)]
        try:
            with _ignore_peft_warnings():
                adapted = get_peft_model(_prepared(base.model), config)
        except (ValueError, TypeError) as error:
            other = "choose other layers with method.target, or " if hasattr(config, "target_modules") else "use "
            raise UserError(
                f"{type(config).__name__} does not fit {_kind(base.model)}: {reason(error)}; {other}method=lora, which "
                "fits every model."
            ) from error
        assert isinstance(adapted, PeftModel)
        base.model.disable_input_require_grads()  # see `models.load`; PEFT enables it again
        self.initialise(adapted, base)
        return adapted

    def reference_logits(self, model: nn.Module, batch: Batch) -> torch.Tensor | None:
        """Run with the adapter disabled; None if its initialisation changes the base weights."""
        assert isinstance(model, PeftModel)
        if getattr(model.active_peft_config, "init_lora_weights", True) not in _INITS_KEEPING_BASE:
            return None
        with _adapter_disabled(model):
            logits: torch.Tensor = model.base_model(**batch).logits
        return logits

    def export(self, model: nn.Module, directory: Path, trainable: list[str]) -> None:
        """Write PEFT's own adapter folder, loadable by `PeftModel.from_pretrained`."""
        assert isinstance(model, PeftModel)
        self.before_export(model)
        with _ignore_peft_warnings(), torch.no_grad():  # a prompt encoder's LSTM rounds differently with gradients
            model.save_pretrained(str(directory), save_embedding_layers=False)

    def merge(self, model: nn.Module) -> nn.Module:
        """Merge the adapter with PEFT; soft prompts and some other methods cannot be merged."""
        assert isinstance(model, PeftModel)
        merge = getattr(model.base_model, "merge_and_unload", None)
        if merge is None or model.active_peft_config.is_prompt_learning:
            return super().merge(model)
        _untie_adapted_layers(model)
        try:
            with _ignore_peft_warnings():
                merged: nn.Module = merge(safe_merge=True)  # raises ValueError for NaN weights
        # PEFT raises AttributeError for a new head of several layers (T5's), except with the LoRA family
        except (ValueError, NotImplementedError, AttributeError) as error:
            raise UserError(f"PEFT cannot merge this adapter: {reason(error)} (leave --merge out).") from error
        _record_untied_embeddings(merged)
        return merged

    def restore(self, base: Base, task: Task, directory: Path) -> nn.Module:
        """Load the adapter folder onto a newly loaded base model with PEFT."""
        with _ignore_peft_warnings():
            model = PeftModel.from_pretrained(_prepared(base.model), str(directory))
        self.after_restore(model)
        return model


@dataclass(kw_only=True)
class Peft(PeftMethod):
    """Any PEFT method, chosen by its configuration.

    Attributes:
        config: e.g. `peft.LoraConfig`, with the names and defaults of PEFT; `apply` sets task type and head.
        target: the adapted layers, see `target_modules`.
    """

    config: PeftConfig
    target: Target = None

    def __post_init__(self) -> None:
        """Refuse anything but a PEFT configuration, and a target that it does not support or already has."""
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
        config = deepcopy(self.config)  # PEFT writes the resolved target modules into it
        if self.target is not None and hasattr(config, "target_modules"):
            config.target_modules = target_modules(self.target, base.model)
        return config


def check_target(target: Target) -> None:
    """Refuse targets that `target_modules` cannot resolve for any model.

    Raises:
        ConfigError: the target is not one of `TARGETS`, a list of names or None.
    """
    if target is None or target in TARGETS:
        return
    if isinstance(target, str):
        hint = did_you_mean(target, TARGETS)
        raise ConfigError(f"method.target={target} is not valid: {hint}; names of layers go in a list, [{target}].")
    if not isinstance(target, list) or not target or not all(isinstance(name, str) and name for name in target):
        raise ConfigError(f"method.target={target} is not valid: give names of layers, such as [query, value].")


def target_modules(target: Target, model: PreTrainedModel) -> Target:
    """Return the layers to adapt as PEFT's `target_modules`.

    Args:
        target: `attention` (every projection in it), `all-linear` (every linear layer but the head), or a list of full
            names or their last components, as PEFT matches them; None: PEFT's default for the architecture.
        model: the base model as loaded, with its head.

    Raises:
        UserError: the model has no attention, or no such layer; a new head is trained completely, so it is no target.
    """
    if target == "attention":
        projections = attention_projections(model)
        if not projections:
            raise UserError(f"method.target=attention finds no linear layer of attention in {_kind(model)}.")
        return projections
    if not isinstance(target, list):
        return target
    head = tuple(f"{name}." for name in _new_head_modules(model))
    layers = [
        name
        for name, module in model.named_modules()
        if any(True for _ in module.parameters(recurse=False)) and not f"{name}.".startswith(head)
    ]
    for suffix in target:
        if not any(f".{name}".endswith(f".{suffix}") for name in layers):
            hint = did_you_mean(suffix, {name.rpartition(".")[2] for name in layers})
            raise UserError(f"method.target: {suffix} is no layer to adapt in {_kind(model)}: {hint}.")
    return target


def _new_head_modules(model: PreTrainedModel) -> list[str]:
    """Return the module names of a randomly initialised head, and of what else is new; none for language models."""
    return [*head_modules(model), *new_modules(model)] if has_new_head(model) else []


def _prepared(model: PreTrainedModel) -> PreTrainedModel:
    if not getattr(model, "is_quantized", False):
        return model
    prepared: PreTrainedModel = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    return prepared


def _untie_adapted_layers(model: PeftModel) -> None:
    """Give adapted layers weights of their own: PEFT merges in place, which would change what they are tied to."""
    modules = list(model.modules())
    for layer in (module.get_base_layer() for module in modules if isinstance(module, BaseTunerLayer)):
        weight = layer._parameters.get("weight")
        if weight is not None and any(
            other._parameters.get("weight") is weight for other in modules if other is not layer
        ):
            layer.weight = nn.Parameter(weight.detach().clone(), requires_grad=False)


def _record_untied_embeddings(merged: nn.Module) -> None:
    """Write into the configuration that output layer and embeddings differ, so that both are saved and loaded."""
    if not isinstance(merged, PreTrainedModel) or (output := merged.get_output_embeddings()) is None:
        return
    if output.weight is not merged.get_input_embeddings().weight:
        for config in (merged.config, merged.config.get_text_config()):
            config.tie_word_embeddings = False


def _kind(model: PreTrainedModel) -> str:
    return type(model).__name__


@contextmanager
def _adapter_disabled(model: PeftModel) -> Iterator[None]:
    """Disable adapter and trained head.

    PEFT's own `disable_adapter` keeps the trained head of a soft prompt, and changes `requires_grad`.
    """
    requires_grad = [parameter.requires_grad for parameter in model.parameters()]
    heads = [module for module in model.modules() if isinstance(module, AuxiliaryTrainingWrapper)]
    tuner = model.base_model  # for a soft prompt the base model itself, without the prompt
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
        for parameter, value in zip(model.parameters(), requires_grad, strict=True):
            parameter.requires_grad_(value)


@contextmanager
def _ignore_peft_warnings() -> Iterator[None]:
    """Ignore PEFT's warnings about values that it corrects itself or that are intended."""
    with warnings.catch_warnings():
        for message in (
            "fan_in_fan_out is set to (False|True)",  # of Conv1D and linear layers, of which GPT-2 has both: corrected
            "Specified to not (save|load) vera_A",  # VeRA's projections are recomputed from their seed
            "The following rank_pattern keys did not match",  # AdaLoRA's keys are names of parameters, not of layers
            "Initializing zero-element tensors",  # AdaLoRA pruned all ranks of a matrix
            "Adapter .* tensor.s. have invalid shape",  # the same, when it is saved
            "Model (has|with) `tie_word_embeddings=True`",  # `merge` unties them
            "Input and output embeddings are no longer tied",  # the same
            "`is_gradient_checkpointing` is deprecated",  # PEFT 0.21 on Transformers 5.23
        ):
            warnings.filterwarnings("ignore", message=message)
        yield
