"""Initial values of soft prompts, and a prefix encoder that is computed once per batch."""

import math
from typing import Any

import torch
from peft.tuners.tuners_utils import BasePromptEncoder
from torch import nn
from transformers import Cache, DynamicCache, EncoderDecoderCache, PreTrainedModel, PreTrainedTokenizerBase

from ftlab.core.errors import UserError
from ftlab.models.frozen_prefix import eval_mode


def sample_token_ids(tokenizer: PreTrainedTokenizerBase, count: int) -> torch.Tensor:
    """Draw token ids at random, without special tokens."""
    ordinary = torch.ones(len(tokenizer), dtype=torch.bool)
    added = tokenizer.added_tokens_decoder
    ordinary[[*tokenizer.all_special_ids, *(token for token in added if added[token].special)]] = False
    ids = ordinary.nonzero()[:, 0]
    return ids[torch.randint(len(ids), (count,))]


def tile_text(tokenizer: PreTrainedTokenizerBase, text: str, count: int) -> torch.Tensor:
    """Return the token ids of a text, repeated or truncated to this number."""
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    if not ids:
        raise UserError(f"method.text={text!r} has no token for this model's tokenizer: give it words.")
    return torch.tensor(ids * math.ceil(count / len(ids)))[:count]


def keys_and_values(model: PreTrainedModel, ids: torch.Tensor) -> Cache:
    """Return the keys and values of a text in every layer (for encoder-decoders: of the decoder's self-attention)."""
    inputs = {"input_ids": ids[None].to(model.device)}
    self_attention = DynamicCache()
    cache: Cache = self_attention
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = inputs["input_ids"]
        cache = EncoderDecoderCache(self_attention, DynamicCache())
    with torch.no_grad(), eval_mode(model):
        model.base_model(**inputs, past_key_values=cache)
    return self_attention


def prefix_shape(model: PreTrainedModel) -> dict[str, int]:
    """Return the sizes of PEFT's prefix that its defaults get wrong for encoder-decoders.

    PEFT takes the width from the model's hidden size, which can differ from heads times head size (T5-small), and the
    number of layers from the encoder, although the decoder gets the prefix.
    """
    layers: list[Any] = keys_and_values(model, torch.zeros(1, dtype=torch.long)).layers
    _, heads, _, size = layers[0].keys.shape
    return {"num_layers": len(layers), "num_attention_heads": heads, "token_dim": heads * size}


class SharedPrefixEncoder(BasePromptEncoder):
    """PEFT's prefix MLP, computed once per batch instead of once per example.

    Besides the time it saves, the batch size cannot change the last bits of the prefix, which export computes for one
    example.
    """

    def __init__(self, embedding: nn.Module, transform: nn.Module) -> None:
        """Take the modules of a `peft.PrefixEncoder`, with the same names."""
        super().__init__()
        self.embedding = embedding
        self.transform = transform

    def forward(self, prefix: torch.Tensor) -> torch.Tensor:
        """Return (examples, virtual tokens, keys and values of all layers) for the same positions in each example."""
        values: torch.Tensor = self.transform(self.embedding(prefix[:1]))
        return values.expand(len(prefix), -1, -1)
