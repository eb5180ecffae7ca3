"""What a language model writes, greedily, on from what it is given."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from transformers import GenerationConfig

from ftlab.data.tokens import pad_id
from ftlab.methods.base import TuningMethod
from ftlab.models import Base, position_count
from ftlab.models.quiet import quiet

_ANYTHING = 2**31  # tokens; what a model can see bounds a prompt that is to be continued, not what it was trained on


@dataclass(frozen=True)
class Prompt:
    """What a model goes on from.

    Attributes:
        read: token ids.
        end: token at which it stops, beside the tokenizer's eos token.
        opening: what it may write ahead of its answer, by some chat templates.
    """

    read: list[int]
    end: int
    opening: list[int]


def room(base: Base, method: TuningMethod) -> int:
    """Return how many tokens the model can see, those that the method adds left out."""
    most = min(base.tokenizer.model_max_length, position_count(base.model) or _ANYTHING, _ANYTHING)
    return int(most) - method.added_positions


def continued(
    model: nn.Module,
    base: Base,
    method: TuningMethod,
    prompts: Sequence[Prompt],
    *,
    max_new_tokens: int,
    batch_size: int,
    advance: Callable[[int], None] = lambda _: None,
) -> list[str]:
    """Write on from every prompt, what is most likely at each step; no answer depends on the others of its batch.

    An encoder-decoder's prompts are padded on the right, as in training. A decoder's are padded on the left, where the
    answer follows without a gap; but with virtual tokens in front, from which padding would part the prompt, those of
    one length go together.

    Args:
        model: what `method.apply` or `method.restore` made of the base, in evaluation mode.
        base: its tokenizer and the model within.
        method: says how many positions it adds.
        prompts: no longer than `room`, of decoders.
        max_new_tokens: most tokens of each answer.
        batch_size: prompts at a time.
        advance: is told how many are done, as they are.

    Returns:
        The answers, up to the end that was trained, in the order of the prompts.
    """
    encoded = bool(base.model.config.is_encoder_decoder)
    most = room(base, method)

    def group(index: int) -> tuple[int, int]:
        length = len(prompts[index].read)
        left = max_new_tokens if encoded else min(max_new_tokens, most - length)
        return left, length if method.added_positions and not encoded else 0

    answers = [""] * len(prompts)
    order = sorted(range(len(prompts)), key=lambda index: (group(index), len(prompts[index].read)))
    for (left, _), members in groupby(order, key=group):
        together = list(members)
        for start in range(0, len(together), batch_size):
            chosen = together[start : start + batch_size]
            written = _written(model, base, [prompts[index] for index in chosen], max(left, 0), encoded=encoded)
            for index, tokens in zip(chosen, written, strict=True):
                answers[index] = str(base.tokenizer.decode(tokens, skip_special_tokens=True)).strip()
            advance(len(chosen))
    return answers


def _written(
    model: nn.Module, base: Base, prompts: Sequence[Prompt], most: int, *, encoded: bool
) -> Iterator[list[int]]:
    """Yield the tokens of each answer, without how it begins and ends."""
    if not most:
        yield from ([] for _ in prompts)
        return
    device = next(model.parameters()).device
    rows = [torch.tensor(prompt.read) for prompt in prompts]
    side = "right" if encoded else "left"

    def padded(tensors: list[torch.Tensor], value: int) -> torch.Tensor:
        return pad_sequence(tensors, batch_first=True, padding_value=value, padding_side=side).to(device)

    read = padded(rows, pad_id(base.tokenizer))
    ends = {prompts[0].end, base.tokenizer.eos_token_id} - {None}
    settings = GenerationConfig(
        do_sample=False,
        num_beams=1,
        max_new_tokens=most,
        eos_token_id=sorted(ends),
        pad_token_id=pad_id(base.tokenizer),
        decoder_start_token_id=getattr(base.model.config, "decoder_start_token_id", None),
        use_cache=True,  # off in the model's own settings, for training
    )
    with quiet(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Position ids are not supported")  # PEFT counts them itself
        generate: Any = model.generate  # of Transformers, or PEFT's around it
        mask = padded([torch.ones_like(row) for row in rows], 0)
        output = generate(input_ids=read, attention_mask=mask, generation_config=settings)
    skipped = 1 if encoded else read.shape[1]
    for prompt, tokens in zip(prompts, output[:, skipped:].tolist(), strict=True):
        stop = next((place for place, token in enumerate(tokens) if token in ends), len(tokens))
        pairs = enumerate(zip(tokens, prompt.opening, strict=False))
        same = next((place for place, (one, two) in pairs if one != two), min(len(prompt.opening), len(tokens)))
        yield tokens[min(same, stop) : stop]
