"""Greedy generation of a language model from prompts of different lengths."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from transformers import GenerationConfig, StoppingCriteria, StoppingCriteriaList

from ftlab.data.encoding.tokens import pad_id
from ftlab.methods.base import TuningMethod
from ftlab.models import Base, position_count
from ftlab.models.quiet import quiet

_NO_LIMIT = 2**31  # tokens; larger than any context length


@dataclass(frozen=True)
class GenerationPrompt:
    """A prompt, and the tokens around its response.

    Attributes:
        input_ids: token ids of the prompt.
        stop_id: token at which generation stops, in addition to the tokenizer's eos token.
        opening_ids: tokens that some chat templates put in front of a response; they are removed from the text.
    """

    input_ids: list[int]
    stop_id: int
    opening_ids: list[int]


class _Response(NamedTuple):
    tokens: list[int]  # without its opening and its stop token
    generated: int  # number of tokens, with these


def max_prompt_tokens(base: Base, method: TuningMethod) -> int:
    """Return the number of tokens that fit into the model's context beside the method's virtual tokens."""
    limit = min(base.tokenizer.model_max_length, position_count(base.model) or _NO_LIMIT, _NO_LIMIT)
    return int(limit) - method.num_virtual_tokens


def generate_texts(
    model: nn.Module,
    base: Base,
    method: TuningMethod,
    prompts: Sequence[GenerationPrompt],
    *,
    max_new_tokens: int,
    batch_size: int,
    advance: Callable[[int], None] = lambda _: None,
    advance_by_tokens: Callable[[float], None] = lambda _: None,
    count_tokens: Callable[[int], None] = lambda _: None,
) -> list[str]:
    """Generate a text for every prompt with greedy decoding; no text depends on the other prompts of its batch.

    Prompts of encoder-decoders are padded on the right, as in training. Prompts of decoders are padded on the left, so
    that the response follows directly. With virtual tokens, padding would separate them from the prompt, so a batch
    only has prompts of one length.

    Args:
        model: what `method.apply` or `method.restore` returned, in evaluation mode.
        base: the base model inside it, and its tokenizer.
        method: the tuning method, for its number of virtual tokens.
        prompts: for decoders, no longer than `max_prompt_tokens`.
        max_new_tokens: largest number of tokens of each text.
        batch_size: number of prompts in a batch.
        advance: called with the number of finished prompts after each batch.
        advance_by_tokens: called after each token of a batch with its part of the batch, in prompts, and after the
            batch with the rest, so that all add up to the number of prompts.
        count_tokens: called with the number of tokens that each batch generated, with stop tokens.

    Returns:
        The texts up to the stop token, in the order of the prompts.
    """
    is_encoder_decoder = bool(base.model.config.is_encoder_decoder)
    limit = max_prompt_tokens(base, method)

    def group(index: int) -> tuple[int, int]:
        length = len(prompts[index].input_ids)
        new_tokens = max_new_tokens if is_encoder_decoder else min(max_new_tokens, limit - length)
        return new_tokens, length if method.num_virtual_tokens and not is_encoder_decoder else 0

    texts = [""] * len(prompts)
    order = sorted(range(len(prompts)), key=lambda index: (group(index), len(prompts[index].input_ids)))
    for (new_tokens, _), members in groupby(order, key=group):
        indices = list(members)
        for start in range(0, len(indices), batch_size):
            batch = indices[start : start + batch_size]
            steps = _StepCounter(len(batch) / max(new_tokens, 1), advance_by_tokens)
            responses = _generate_batch(model, base, [prompts[index] for index in batch], max(new_tokens, 0), steps)
            for index, response in zip(batch, responses, strict=True):
                texts[index] = str(base.tokenizer.decode(response.tokens, skip_special_tokens=True)).strip()
            advance(len(batch))
            advance_by_tokens(len(batch) - steps.prompts)
            count_tokens(sum(response.generated for response in responses))
    return texts


class _StepCounter(StoppingCriteria):
    """Stops nothing, and tells how far a batch is: generation asks its criteria after each token.

    Attributes:
        prompts: how far, in prompts.
    """

    def __init__(self, prompts_per_step: float, advance: Callable[[float], None]) -> None:
        self.prompts = 0.0
        self._prompts_per_step = prompts_per_step
        self._advance = advance

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        self.prompts += self._prompts_per_step
        self._advance(self._prompts_per_step)
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)

    def __deepcopy__(self, _: Any) -> "_StepCounter":  # PEFT copies the arguments of generation
        return self


def _generate_batch(
    model: nn.Module, base: Base, prompts: Sequence[GenerationPrompt], max_new_tokens: int, steps: _StepCounter
) -> list[_Response]:
    if not max_new_tokens:
        return [_Response([], 0) for _ in prompts]
    device = next(model.parameters()).device
    is_encoder_decoder = bool(base.model.config.is_encoder_decoder)
    rows = [torch.tensor(prompt.input_ids) for prompt in prompts]
    padding_side = "right" if is_encoder_decoder else "left"

    def padded(tensors: list[torch.Tensor], value: int) -> torch.Tensor:
        return pad_sequence(tensors, batch_first=True, padding_value=value, padding_side=padding_side).to(device)

    input_ids = padded(rows, pad_id(base.tokenizer))
    stop_ids = {prompts[0].stop_id, base.tokenizer.eos_token_id} - {None}
    generation_config = GenerationConfig(
        do_sample=False,
        num_beams=1,
        max_new_tokens=max_new_tokens,
        eos_token_id=sorted(stop_ids),
        pad_token_id=pad_id(base.tokenizer),
        decoder_start_token_id=getattr(base.model.config, "decoder_start_token_id", None),
        use_cache=True,  # the model's own configuration has it off, for training
    )
    with quiet(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Position ids are not supported")  # PEFT numbers them itself
        generate: Any = model.generate  # Transformers' own, or PEFT's wrapper
        mask = padded([torch.ones_like(row) for row in rows], 0)
        output = generate(
            input_ids=input_ids,
            attention_mask=mask,
            generation_config=generation_config,
            stopping_criteria=StoppingCriteriaList([steps]),
        )
    prompt_length = 1 if is_encoder_decoder else input_ids.shape[1]
    responses = []
    for prompt, tokens in zip(prompts, output[:, prompt_length:].tolist(), strict=True):
        stop = next((position for position, token in enumerate(tokens) if token in stop_ids), len(tokens))
        start = _common_prefix_length(tokens, prompt.opening_ids)
        responses.append(_Response(tokens[min(start, stop) : stop], len(tokens[: stop + 1])))
    return responses


def _common_prefix_length(tokens: Sequence[int], others: Sequence[int]) -> int:
    """Return how many tokens at the beginning of two sequences are the same."""
    pairs = enumerate(zip(tokens, others, strict=False))
    return next((position for position, (left, right) in pairs if left != right), min(len(tokens), len(others)))
