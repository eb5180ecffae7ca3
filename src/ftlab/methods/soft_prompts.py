"""Soft prompts: trainable vectors in front of the text, or in front of every layer's keys and values."""

import math
from abc import abstractmethod
from dataclasses import dataclass, field
from inspect import signature
from typing import Any, ClassVar, Literal, get_args

import torch
from peft import PeftConfig, PeftModel, PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig
from peft.tuners.cartridge.utils import initialize_kv_prefix_from_past_key_values
from torch import nn

from ftlab.config.task import Architecture, Task
from ftlab.core.batch import Batch
from ftlab.core.errors import ConfigError, UserError, did_you_mean
from ftlab.methods.peft import PeftMethod
from ftlab.methods.prompt_parts import SharedPrefixEncoder, keys_and_values, prefix_shape, sample_token_ids, tile_text
from ftlab.models.load import Base
from ftlab.models.quiet import quiet

_ENCODER = "prompt_encoder.default"  # PEFT's module that computes the prompt

Init = Literal["random", "text", "vocabulary"]
Encoder = Literal["MLP", "LSTM"]


@dataclass(kw_only=True)
class SoftPrompt(PeftMethod):
    """Base class of all soft prompts.

    Attributes:
        virtual_tokens: length of the prompt.
        frozen: keep the prompt at its initial value. This is the control condition, which shows the gain from training
            a prompt. A classification head still trains; in a language model nothing does.
        head_lr: learning rate of a new classification head; the prompt's own rate would be too high for it.
        encoder_lr_scale: learning rate of the prompt or its encoder, relative to that of the run.
    """

    classifies_only: ClassVar[bool] = False  # published only for classification

    virtual_tokens: int
    frozen: bool = False
    head_lr: float = 1e-2
    encoder_lr_scale: float = field(default=1.0, init=False)

    @property
    def needs_training(self) -> bool:
        """See `TuningMethod`: with a frozen prompt, nothing may train."""
        return not self.frozen

    @property
    def num_virtual_tokens(self) -> int:
        """See `TuningMethod`."""
        return self.virtual_tokens

    def adapt_task(self, task: Task, architecture: Architecture) -> Task:
        """Refuse tasks and architectures that soft prompts do not support."""
        if task.head.peft_type == "SEQ_CLS" and architecture == "encoder-decoder":
            raise UserError(
                "soft prompts do not reach the classifier of an encoder-decoder (it takes token ids alone, and no keys "
                "and values): what fits is a method that changes the weights, such as method=lora, or an encoder or "
                "decoder, such as model=minilm."
            )
        if task.kind.masks:
            raise UserError(
                f"soft prompts are for classification and for models that write, not for {task.name}: what fits is a "
                "method that changes the weights, such as method=lora."
            )
        if self.classifies_only and task.head.peft_type not in ("SEQ_CLS", "TOKEN_CLS"):
            raise UserError(
                f"{type(self).__name__} is for classification, and the task is {task.name}: what fits is method=prefix."
            )
        return task

    def param_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Return groups of the prompt or its encoder, and of the head with its own learning rate."""
        groups = [
            {**group, "lr_scale": self.encoder_lr_scale}
            for group in super().param_groups(model.get_submodule(_ENCODER))
        ]
        prompt = {id(parameter) for group in groups for parameter in group["params"]}
        for group in super().param_groups(model):
            head = [parameter for parameter in group["params"] if id(parameter) not in prompt]
            if head:
                groups.append({**group, "params": head, "lr": self.head_lr})
        return groups

    def initialise(self, model: PeftModel, base: Base) -> None:
        """Set the prompt's initial value, then freeze it if `frozen` is set."""
        self.set_prompt(model, base)
        model.get_submodule(_ENCODER).requires_grad_(not self.frozen)

    @abstractmethod
    def set_prompt(self, model: PeftModel, base: Base) -> None:
        """Set the prompt's initial value from torch's seeded global generator."""


@dataclass(kw_only=True)
class InputPrompt(SoftPrompt):
    """Base class of prompts in front of the word embeddings."""

    def forward(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Return logits without the prompt's positions; see `TuningMethod`.

        Decoders classify at the last token. Given embeddings instead of token ids, Transformers uses the last position,
        even if it is padding; here it is the last token before the padding, as in plain PEFT without padding.
        """
        assert isinstance(model, PeftModel)
        head = getattr(model, "cls_layer_name", None)
        if head is None or model.active_peft_config.task_type == "TOKEN_CLS":
            logits: torch.Tensor = model(**batch).logits
            return logits if "decoder_input_ids" in batch or logits.ndim == 2 else logits[:, self.virtual_tokens :]
        outputs: list[torch.Tensor] = []
        hook = model.base_model.get_submodule(head).register_forward_hook(lambda _, __, output: outputs.append(output))
        try:
            with quiet():  # Transformers warns about padding, which is handled here
                logits = model(**batch).logits
        finally:
            hook.remove()
        (scores,) = outputs
        if scores.ndim == 2:  # an encoder, which classifies at its first position
            return logits
        positions = torch.arange(batch["attention_mask"].shape[1], device=scores.device)
        last = (positions * batch["attention_mask"]).argmax(-1) + self.virtual_tokens
        return scores[torch.arange(len(scores), device=scores.device), last]


@dataclass(kw_only=True)
class DeepPrompt(SoftPrompt):
    """Base class of prefixes of keys and values in every layer."""

    def set_prompt(self, model: PeftModel, base: Base) -> None:
        """Start from keys and values of random words (Li & Liang, section 7.4), or from the output of an untrained MLP.

        PEFT's own initial value, standard normal, is so far from the layers' usual inputs that a language model breaks:
        the loss of SmolLM2-135M on dialogues rises from 2.3 to 9.4; with words it stays at 2.3.
        """
        encoder = model.get_submodule(_ENCODER)
        if hasattr(encoder, "transform"):
            model.set_submodule(
                _ENCODER, SharedPrefixEncoder(encoder.get_submodule("embedding"), encoder.get_submodule("transform"))
            )
            return
        words = sample_token_ids(base.tokenizer, self.virtual_tokens)
        initialize_kv_prefix_from_past_key_values(model, past_key_values=keys_and_values(base.model, words))


@dataclass(kw_only=True)
class Prompt(InputPrompt):
    """Prompt tuning (Lester et al., 2021, "The Power of Scale for Parameter-Efficient Prompt Tuning").

    Attributes:
        init: initial value. `vocabulary`: embeddings of tokens drawn from the vocabulary; `text`: embeddings of the
            tokens of `text`, repeated or truncated to the prompt's length; `random`: uniform in ±0.5 as in the paper.
        text: the text for `init=text`.
    """

    init: Init = "vocabulary"
    text: str | None = None

    def __post_init__(self) -> None:
        """Check the fields."""
        _check_fields(self)
        _require_choice("init", self.init, get_args(Init))
        if (self.init == "text") != bool(self.text):
            raise ConfigError("method.init=text and method.text belong together: set both, or neither.")

    def peft_config(self, base: Base, task: Task) -> PeftConfig:
        """See `PeftMethod`."""
        # 1 submodule: for encoder-decoders, PEFT only uses the encoder's half of the prompt
        return PromptTuningConfig(num_virtual_tokens=self.virtual_tokens, num_transformer_submodules=1)

    def set_prompt(self, model: PeftModel, base: Base) -> None:
        """Set the initial value here: PEFT's own `text` would load a tokenizer by path."""
        prompt = model.get_parameter(f"{_ENCODER}.embedding.weight")
        with torch.no_grad():
            if self.init == "random":
                prompt.uniform_(-0.5, 0.5)
                return
            if self.init == "text":
                ids = tile_text(base.tokenizer, self.text or "", self.virtual_tokens)
            else:
                ids = sample_token_ids(base.tokenizer, self.virtual_tokens)
            embeddings = base.model.get_input_embeddings()
            prompt.copy_(embeddings(ids.to(prompt.device)))


@dataclass(kw_only=True)
class PTuning(InputPrompt):
    """P-tuning: an encoder computes the prompt (Liu et al., 2021, "GPT Understands, Too").

    Attributes:
        encoder: `LSTM` (bidirectional, two layers, then an MLP: the paper's) or `MLP`.
        hidden_size: hidden size of the encoder; null: the model's own.
        mlp_lr_scale: learning rate of an MLP relative to the run's, which is suited to an LSTM.
    """

    encoder: Encoder = "LSTM"
    hidden_size: int | None = None
    mlp_lr_scale: float = 0.1

    def __post_init__(self) -> None:
        """Check the fields."""
        _check_fields(self)
        _require_choice("encoder", self.encoder, get_args(Encoder))
        _require_positive("hidden_size", self.hidden_size)
        _require_rate("mlp_lr_scale", self.mlp_lr_scale)
        if self.encoder == "MLP":
            self.encoder_lr_scale = self.mlp_lr_scale

    def peft_config(self, base: Base, task: Task) -> PeftConfig:
        """See `PeftMethod`."""
        return PromptEncoderConfig(
            num_virtual_tokens=self.virtual_tokens,
            num_transformer_submodules=1,  # as in `Prompt`
            encoder_reparameterization_type=self.encoder,
            encoder_hidden_size=self.hidden_size or base.model.config.get_text_config().hidden_size,
        )

    def set_prompt(self, model: PeftModel, base: Base) -> None:
        """Keep PEFT's value: the encoder's output for normally distributed vectors."""


@dataclass(kw_only=True)
class Prefix(DeepPrompt):
    """Prefix tuning (Li & Liang, 2021, "Prefix-Tuning: Optimizing Continuous Prompts for Generation").

    Attributes:
        projection: hidden size of the MLP that computes the prefix in training (section 4.3); null: no MLP.
        mlp_lr_scale: learning rate of the MLP relative to the run's, which is suited to a prefix without MLP. A step
            of the MLP moves every vector of the prefix.
    """

    projection: int | None = None
    mlp_lr_scale: float = 0.03

    def __post_init__(self) -> None:
        """Check the fields."""
        _check_fields(self)
        _require_positive("projection", self.projection)
        _require_rate("mlp_lr_scale", self.mlp_lr_scale)
        if self.projection is not None:
            self.encoder_lr_scale = self.mlp_lr_scale

    def peft_config(self, base: Base, task: Task) -> PeftConfig:
        """See `PeftMethod`."""
        return _prefix_config(base, self.virtual_tokens, self.projection)


@dataclass(kw_only=True)
class PTuningV2(DeepPrompt):
    """P-tuning v2: prefixes for classification of texts or words, with a head (Liu et al., 2022, section 3.3)."""

    classifies_only = True

    def __post_init__(self) -> None:
        """Check the fields."""
        _check_fields(self)

    def peft_config(self, base: Base, task: Task) -> PeftConfig:
        """See `PeftMethod`."""
        return _prefix_config(base, self.virtual_tokens, projection=None)


def _prefix_config(base: Base, virtual_tokens: int, projection: int | None) -> PeftConfig:
    backbone = base.model.base_model
    if not base.model.config.is_encoder_decoder and "past_key_values" not in signature(backbone.forward).parameters:
        raise UserError(
            f"{type(backbone).__name__} takes no keys and values from outside (past_key_values), which a prefix needs: "
            "use method=prompt."
        )
    options: dict[str, Any] = {"prefix_projection": True, "encoder_hidden_size": projection} if projection else {}
    if base.model.config.is_encoder_decoder:
        options |= prefix_shape(base.model)
    return PrefixTuningConfig(num_virtual_tokens=virtual_tokens, **options)


def _check_fields(method: SoftPrompt) -> None:
    if method.virtual_tokens is None:
        raise ConfigError("method.virtual_tokens is not set: give the number of virtual tokens, 1 or more.")
    _require_positive("virtual_tokens", method.virtual_tokens)
    _require_rate("head_lr", method.head_lr)
    if not isinstance(method.frozen, bool):
        raise ConfigError(f"method.frozen={method.frozen!r} is not valid: true or false.")


def _require_positive(name: str, value: int | None) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ConfigError(f"method.{name}={value!r} is not valid: give a whole number, 1 or more.")


def _require_rate(name: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ConfigError(f"method.{name}={value!r} is not valid: give a number above 0.")


def _require_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigError(f"method.{name}={value} is not valid: {did_you_mean(str(value), choices)}.")
