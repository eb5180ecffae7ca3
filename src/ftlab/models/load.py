"""Loading of a base model and its tokenizer, with the head that a task needs."""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from transformers import (
    MODEL_FOR_MASKED_LM_MAPPING,
    AutoConfig,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from ftlab.config.groups import ModelConfig, QuantConfig
from ftlab.config.task import Architecture, Task
from ftlab.core.errors import ConfigError, UserError, reason
from ftlab.models.quantise import keep_differentiable, keep_scales_with_weights, quantization_config
from ftlab.models.quiet import quiet
from ftlab.models.resolve import resolve_model, resolve_without_weights
from ftlab.models.structure import head_modules, head_names, mark_new_modules, names_above_blocks, new_modules
from ftlab.record import Provenance
from ftlab.record.origin import read_provenance

_AN: dict[Architecture, str] = {
    "encoder": "an encoder",
    "decoder": "a decoder",
    "encoder-decoder": "an encoder-decoder",
}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Base:
    """A loaded base model.

    Attributes:
        model: the model with the task's head; on the CPU, in training mode, all parameters as loaded.
        tokenizer: its tokenizer, with a padding token and the task's padding side.
        identity: source, id, revision, sha256 of the weights, note; never a cache path.
        provenance: the run that its weights come from; None: none that is known.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    identity: dict[str, Any]
    provenance: Provenance | None = None


def architecture(cfg: ModelConfig) -> Architecture:
    """Return whether the model is an encoder, a decoder or an encoder-decoder, from its config.json.

    Raises:
        UserError: the model cannot be reached, or its config.json cannot be used.
    """
    return _architecture(_read_config(resolve_model(cfg).folder, cfg))


def load_task_and_tokenizer(
    cfg: ModelConfig, adapt_task: Callable[[Architecture], Task]
) -> tuple[Task, PreTrainedTokenizerBase]:
    """Return the task adapted to this model, and the tokenizer of `load_base_model`, without loading the weights.

    Args:
        cfg: the model's configuration.
        adapt_task: returns the task for the model's architecture.

    Raises:
        UserError: the model cannot be reached or does not fit the task.
    """
    folder = resolve_without_weights(cfg)
    with quiet():
        task = adapt_task(_architecture(_read_config(folder, cfg)))
        return task, _tokenizer(folder, cfg, task, _config(folder, cfg, task))


def _architecture(config: PreTrainedConfig) -> Architecture:
    if getattr(config, "is_encoder_decoder", False):
        return "encoder-decoder"
    is_encoder = type(config) in MODEL_FOR_MASKED_LM_MAPPING and not getattr(config, "is_decoder", False)
    return "encoder" if is_encoder else "decoder"


def load_base_model(cfg: ModelConfig, task: Task, quant: QuantConfig) -> Base:
    """Return model and tokenizer for a task.

    A new head is initialised from torch's global generator, so seed it before. So is what else the checkpoint does not
    hold above the transformer blocks (a pooler): it belongs to the head, see `ftlab.models.structure.new_modules`.

    Raises:
        UserError: the model cannot be reached, does not fit the task, or its weights do not fit its configuration.
    """
    source = resolve_model(cfg)
    with quiet():
        config = _config(source.folder, cfg, task)
        tokenizer = _tokenizer(source.folder, cfg, task, config)
        model = _model(source.folder, cfg, task, quant, config)
    model.name_or_path = source.identity["id"]  # PEFT writes it into adapters: an id, not a local path
    model.config.pad_token_id = tokenizer.pad_token_id  # decoders classify at the last token before the padding
    if model.can_generate():
        model.generation_config.pad_token_id = tokenizer.pad_token_id
    return Base(model, tokenizer, source.identity, _provenance(source.folder, cfg))


def _provenance(folder: Path, cfg: ModelConfig) -> Provenance | None:
    try:
        return read_provenance(folder)
    except UserError as error:  # the weights are the same whatever the file says
        _log.warning("model=%s: %s", cfg.name, error)
        return None


def _read_config(folder: Path, cfg: ModelConfig) -> PreTrainedConfig:
    try:
        config: PreTrainedConfig = AutoConfig.from_pretrained(folder, trust_remote_code=cfg.trust_remote_code)
    except (ValueError, OSError, KeyError) as error:
        raise UserError(f"The config.json of model={cfg.name} cannot be used: {reason(error)}.") from error
    return config


def _config(folder: Path, cfg: ModelConfig, task: Task) -> PreTrainedConfig:
    config = _read_config(folder, cfg)
    _require_fit(config, cfg, task)
    if task.labels:
        config.id2label = dict(enumerate(task.labels))
        config.label2id = {label: index for index, label in enumerate(task.labels)}
        config.problem_type = task.problem
    config.use_cache = False  # training does not reuse keys and values
    if cfg.dropout is not None:
        _set_dropout(config, cfg.dropout)
    return config


def _require_fit(config: PreTrainedConfig, cfg: ModelConfig, task: Task) -> None:
    kind = _architecture(config)
    generates = task.head.auto_class == "AutoModelForCausalLM"
    remote = cfg.trust_remote_code and task.head.auto_class in (getattr(config, "auto_map", None) or {})
    supported = type(config) in getattr(transformers, task.head.auto_class)._model_mapping
    # Transformers would load a BERT as a causal model too, with causal attention that it was not trained with.
    if remote or (supported and not (kind == "encoder" and generates)):
        return
    fits = {
        "AutoModelForCausalLM": "a decoder, such as model=smollm2-135m, gpt2 or qwen2.5-0.5b",
        "AutoModelForMaskedLM": "an encoder that is published with its masked-language-model head, such as BERT",
    }.get(task.head.auto_class, "an encoder or a decoder, such as model=minilm or smollm2-135m")
    raise UserError(
        f"model={cfg.name} is {_AN[kind]} ({config.model_type}) without the head that the task {task.name} needs "
        f"({task.head.auto_class}): what fits is {fits}."
    )


def _set_dropout(config: PreTrainedConfig, dropout: float) -> None:
    # All dropout rates under their various names (hidden_dropout_prob, resid_pdrop, dropout_rate …), without LayerDrop,
    # which drops layers. A rate of None (classifier_dropout) follows another rate.
    rates = [
        name
        for name, value in config.to_dict().items()
        if re.search("dropout|pdrop", name) and isinstance(value, int | float) and not isinstance(value, bool)
    ]
    if not rates:
        raise ConfigError(f"model.dropout={dropout} has no effect: {config.model_type} has no dropout; set it to null.")
    for name in rates:
        setattr(config, name, dropout)


def _tokenizer(folder: Path, cfg: ModelConfig, task: Task, config: PreTrainedConfig) -> PreTrainedTokenizerBase:
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            folder, trust_remote_code=cfg.trust_remote_code
        )
    except (ValueError, OSError, ImportError, KeyError) as error:
        raise UserError(f"The tokenizer of model={cfg.name} cannot be loaded: {reason(error)}.") from error
    if tokenizer.pad_token is None:
        if tokenizer.eos_token is None:
            raise UserError(f"The tokenizer of model={cfg.name} has neither a padding nor an end token: set one in it.")
        tokenizer.pad_token = tokenizer.eos_token
    vocab_size = getattr(config.get_text_config(), "vocab_size", None)
    if vocab_size is not None and len(tokenizer) > vocab_size:
        raise UserError(
            f"The tokenizer of model={cfg.name} has {len(tokenizer)} tokens, the model embeds {vocab_size}: "
            "they do not belong together."
        )
    tokenizer.padding_side = task.padding_side
    return tokenizer


def _model(folder: Path, cfg: ModelConfig, task: Task, quant: QuantConfig, config: PreTrainedConfig) -> PreTrainedModel:
    auto = getattr(transformers, task.head.auto_class)
    full_precision: list[str] = []
    if quant.name != "none":
        with torch.device("meta"):
            full_precision = head_modules(auto.from_config(config, trust_remote_code=cfg.trust_remote_code))
    rng_state = torch.get_rng_state()
    model = _from_pretrained(folder, cfg, task, quant, config, full_precision)
    if quant.name != "none" and (new := new_modules(model)):  # known only now; what is quantised cannot train
        torch.set_rng_state(rng_state)
        model = _from_pretrained(folder, cfg, task, quant, config, [*full_precision, *new])
    if quant.name == "nf4":
        keep_differentiable(model)
    if quant.name == "int8":
        keep_scales_with_weights(model)
    if cfg.gradient_checkpointing:
        if not model.supports_gradient_checkpointing:
            raise ConfigError(f"model.gradient_checkpointing=true: {type(model).__name__} does not support it.")
        model.activation_checkpointing_enable({"use_reentrant": False})
        # only reentrant checkpointing needs it; it would send gradients through all frozen layers
        model.disable_input_require_grads()
    # from_pretrained returns the model in evaluation mode and Lightning does not change it: dropout would be off.
    loaded: PreTrainedModel = model.train()
    return loaded


def _from_pretrained(
    folder: Path, cfg: ModelConfig, task: Task, quant: QuantConfig, config: PreTrainedConfig, full_precision: list[str]
) -> PreTrainedModel:
    """Return the model as Transformers loads it, with its new modules marked; `full_precision`: not to be quantised."""
    auto = getattr(transformers, task.head.auto_class)
    dtype: torch.dtype = getattr(torch, cfg.dtype)
    options: dict[str, Any] = {}
    if quant.name != "none":
        options["quantization_config"] = quantization_config(quant, full_precision, dtype)
        options["device_map"] = {"": "cpu"}  # the Trainer moves it; otherwise each rank would fill the first GPU
    try:
        model, info = auto.from_pretrained(
            folder,
            config=config,
            dtype=dtype,
            attn_implementation=cfg.attention,
            use_safetensors=True,
            trust_remote_code=cfg.trust_remote_code,
            ignore_mismatched_sizes=True,  # a head for other labels is replaced; other mismatches are refused below
            output_loading_info=True,
            **options,
        )
    except (ValueError, ImportError, OSError, SafetensorError) as error:
        raise UserError(f"model={cfg.name} cannot be loaded: {reason(error)}.") from error
    loaded: PreTrainedModel = model
    mark_new_modules(loaded, _new_below_head(loaded, info, cfg, task))
    return loaded


def _new_below_head(model: PreTrainedModel, info: dict[str, Any], cfg: ModelConfig, task: Task) -> set[str]:
    """Return the names of parameters above the blocks and below a new head that are not in the checkpoint.

    Raises:
        UserError: others are missing, which no fine-tuning replaces.
    """
    new = set(info["missing_keys"]) | {name for name, *_ in info["mismatched_keys"]}
    if task.cloze and new & set(head_names(model)) | {name for name in new if name.startswith("cls.")}:
        raise UserError(
            f"model={cfg.name} comes without a pretrained language-model head ({task.head.auto_class}), and the method "
            "answers with words: what fits is a decoder such as model=smollm2-135m, or a method that trains a new head."
        )
    if task.kind.masks and new:
        raise UserError(
            f"model={cfg.name} comes without a pretrained masked-language-model head ({min(new)} is missing), and "
            f"dataset.task={task.name} trains it further: use an encoder that is published with it, such as BERT."
        )
    below_head: set[str] = set()
    if new and task.labels and not task.cloze:
        new -= set(head_names(model))
        below_head = new & names_above_blocks(model)
    if damaged := new - below_head:
        raise UserError(
            f"The weights of model={cfg.name} do not fit its config.json: {len(damaged)} tensors of "
            f"{type(model).__name__} are missing or of another shape, {min(damaged)} among them."
        )
    return below_head
