"""What soft prompts are made of: words to begin with, and an MLP that is computed once."""

import math
from typing import Any

import torch
from peft.tuners.tuners_utils import BasePromptEncoder
from torch import nn
from transformers import Cache, DynamicCache, EncoderDecoderCache, PreTrainedModel, PreTrainedTokenizerBase

from ftlab.errors import UserError
from ftlab.models.trunk import evaluating


def drawn_words(tokenizer: PreTrainedTokenizerBase, count: int) -> torch.Tensor:
    """Draw ids of tokens that are no control tokens."""
    ordinary = torch.ones(len(tokenizer), dtype=torch.bool)
    added = tokenizer.added_tokens_decoder
    ordinary[[*tokenizer.all_special_ids, *(token for token in added if added[token].special)]] = False
    ids = ordinary.nonzero()[:, 0]
    return ids[torch.randint(len(ids), (count,))]


def words_of(tokenizer: PreTrainedTokenizerBase, text: str, count: int) -> torch.Tensor:
    """Return the ids of a text, repeated or cut to this many."""
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    if not ids:
        raise UserError(f"method.text={text!r} has no token for this model's tokenizer: give it words.")
    return torch.tensor(ids * math.ceil(count / len(ids)))[:count]


def keys_and_values(model: PreTrainedModel, ids: torch.Tensor) -> Cache:
    """Return what every layer's attention (of an encoder-decoder, its decoder's own) keeps of one text."""
    inputs = {"input_ids": ids[None].to(model.device)}
    kept = DynamicCache()
    cache: Cache = kept
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = inputs["input_ids"]
        cache = EncoderDecoderCache(kept, DynamicCache())
    with torch.no_grad(), evaluating(model):
        model.base_model(**inputs, past_key_values=cache)
    return kept


def prefix_shape(model: PreTrainedModel) -> dict[str, int]:
    """Return what of its shape PEFT's prefix has to be told, as the attention has it.

    PEFT takes the width from the model's hidden size, which heads times head size need not be (T5-small), and the
    number of layers from the encoder, where it is the decoder that gets the prefix.
    """
    layers: list[Any] = keys_and_values(model, torch.zeros(1, dtype=torch.long)).layers
    _, heads, _, size = layers[0].keys.shape
    return {"num_layers": len(layers), "num_attention_heads": heads, "token_dim": heads * size}


class OncePerBatch(BasePromptEncoder):
    """PEFT's prefix MLP, computed once for all examples instead of once for each.

    It spares its compute times the batch size, and a batch's size cannot change the last bits of the prefix, which
    export computes for one example.
    """

    def __init__(self, embedding: nn.Module, transform: nn.Module) -> None:
        """Take the parts of a `peft.PrefixEncoder`, under their names there."""
        super().__init__()
        self.embedding = embedding
        self.transform = transform

    def forward(self, prefix: torch.Tensor) -> torch.Tensor:
        """Return (examples, virtual tokens, keys and values of all layers) for the same positions in each example."""
        values: torch.Tensor = self.transform(self.embedding(prefix[:1]))
        return values.expand(len(prefix), -1, -1)
