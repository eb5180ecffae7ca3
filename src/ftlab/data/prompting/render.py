"""Rendering of prompts and responses to token ids, truncated to the maximum length."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from transformers import PreTrainedTokenizerBase

from ftlab.core.batch import IGNORE_INDEX
from ftlab.data.encoding.example import Example
from ftlab.data.encoding.tokens import eos_id, plain_ids, template_ids
from ftlab.data.prompting.templates import RESPONSE, SLOTS, PromptTemplate, slot_text
from ftlab.data.rows.turns import Conversation, Turn

TruncationSide = Literal["left", "right"]
PromptAndResponse = tuple[list[int], list[int]]  # token ids of one turn


@dataclass(frozen=True)
class TruncatedExample:
    """An example within the maximum length.

    Attributes:
        example: the example.
        prompt_length: number of its tokens before the last response; 0 if that response was truncated away.
        turn: index of the turn with that response.
        truncated: whether tokens were lost.
    """

    example: Example
    prompt_length: int
    turn: int
    truncated: bool


_SLOT = re.compile(f"([{''.join(SLOTS)}])")


class TokenizedTemplate:
    """The fixed text of a prompt template as token ids, around the slots of the turns; few-shot examples are filled in.

    Attributes:
        slots: for each turn after the few-shot examples, its slots, without that of the response.
        openings: for each of these turns, the token ids of its `TurnTemplate.opening`.
        num_tokens: number of tokens before the last response that are the same for every row.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, template: PromptTemplate, demonstrations: Sequence[Turn] = ()
    ) -> None:
        """Tokenize the text between the slots, special tokens included; fill the first turns with `demonstrations`."""
        self.slots: list[list[str]] = []
        self.openings: list[list[int]] = []
        self._segments: list[list[str | list[int]]] = []
        self._ends: list[list[int]] = []
        few_shot: list[str | list[int]] = []  # the demonstrations so far
        for number, turn in enumerate(template.turns):
            texts = _SLOT.split(turn.before)  # slots are at the odd positions
            segments: list[str | list[int]] = [
                text if position % 2 else template_ids(tokenizer, text) for position, text in enumerate(texts)
            ]
            opening = template_ids(tokenizer, turn.opening)
            if number < len(demonstrations):
                example = demonstrations[number]
                filled = [
                    _slot_ids(tokenizer, segment, example) if isinstance(segment, str) else segment
                    for segment in segments
                ]
                few_shot += [*filled, opening, _slot_ids(tokenizer, RESPONSE, example)]
                continue
            if self._segments:  # the previous response ends here, and the model learns to end it
                between = segments[0]
                assert not isinstance(between, str)
                end = _end_of_turn(tokenizer, between) or 0
                self._ends.append(between[:end] or [eos_id(tokenizer)])
                segments[0] = between[end:]
            self._segments.append([*few_shot, *segments])
            self.openings.append(opening)
            self.slots.append([segment for segment in segments if isinstance(segment, str)])
            few_shot = []
        closing = template_ids(tokenizer, template.closing)
        last = _end_of_turn(tokenizer, closing)  # a line break after it is never generated
        self._ends.append(closing[:last] if last else [*closing, eos_id(tokenizer)])
        self.num_tokens = sum(
            len(segment) for turn in self._segments for segment in turn if not isinstance(segment, str)
        )

    @property
    def stop_id(self) -> int:
        """The token that ends a response."""
        return self._ends[-1][-1]

    def fill(self, slot_ids: Sequence[Mapping[str, list[int]]]) -> list[PromptAndResponse]:
        """Return the turns with these ids in their slots."""
        return [
            (
                [token for segment in segments for token in (ids[segment] if isinstance(segment, str) else segment)],
                [*opening, *ids[RESPONSE], *end],
            )
            for segments, opening, end, ids in zip(self._segments, self.openings, self._ends, slot_ids, strict=True)
        ]


def decoder_example(
    turns: Sequence[PromptAndResponse],
    openings: Sequence[list[int]],
    max_length: int,
    *,
    side: TruncationSide,
    loss_on_all: bool,
) -> TruncatedExample | None:
    """Return a conversation as one sequence for a decoder, with a loss on its responses; None if no loss is left.

    Truncated on the right, it ends with the last response of which a token fits. Truncated on the left, a response
    whose first tokens are lost stays in the context but has no loss.

    Args:
        turns: prompt and response of each turn.
        openings: opening of each response; a response of which only the opening fits is left out.
        max_length: maximum number of tokens.
        side: the side that is truncated.
        loss_on_all: whether the prompts have a loss too.
    """
    ids: list[int] = []
    labels: list[int] = []
    starts: list[int] = []  # of the responses
    total = sum(len(prompt) + len(response) for prompt, response in turns)
    num_lost = max(0, total - max_length) if side == "left" else 0  # tokens lost at the start
    for (prompt, response), opening in zip(turns, openings, strict=True):
        if side == "right" and len(ids) + len(prompt) + len(opening) >= max_length and not loss_on_all:
            break
        ids += prompt
        starts.append(len(ids))
        ids += response
        labels += prompt if loss_on_all else [IGNORE_INDEX] * len(prompt)
        labels += response if loss_on_all or starts[-1] > num_lost else [IGNORE_INDEX] * len(response)
    ids, labels = ids[num_lost:][:max_length], labels[num_lost:][:max_length]
    if all(label == IGNORE_INDEX for label in labels[1:]):  # nothing predicts the first token
        return None
    responses = [(start - num_lost, turn) for turn, start in enumerate(starts) if 0 < start - num_lost < len(ids)]
    prompt_length, turn = responses[-1] if responses else (0, 0)
    example = Example(np.array(ids, np.int32), np.array(labels, np.int32))
    return TruncatedExample(example, prompt_length, turn, total > max_length)


def encoder_decoder_example(
    prompt: list[int], response: list[int], max_length: int, max_response_length: int, *, side: TruncationSide
) -> TruncatedExample:
    """Return the encoder input and the decoder's labels, each truncated to its maximum length.

    The encoder input ends with the token that ends the response, truncated or not, as in T5's pretraining.
    """
    room = max_length - 1
    kept = prompt[:room] if side == "right" else prompt[max(0, len(prompt) - room) :]
    input_ids = np.array([*kept, response[-1]], np.int32)
    labels = np.array(response[:max_response_length], np.int32)
    truncated = len(prompt) > room or len(response) > max_response_length
    return TruncatedExample(Example(input_ids, labels), len(input_ids), 0, truncated)


def _slot_ids(tokenizer: PreTrainedTokenizerBase, slot: str, turn: Turn) -> list[int]:
    return plain_ids(tokenizer, [slot_text(slot, turn, Conversation((turn,)))])[0]


def _end_of_turn(tokenizer: PreTrainedTokenizerBase, closing: list[int]) -> int | None:
    """Return the number of tokens up to the first special token, included, where a model stops; None without one."""
    added = tokenizer.added_tokens_decoder
    special_ids = {*tokenizer.all_special_ids, *(token for token in added if added[token].special)}
    return next((position + 1 for position, token in enumerate(closing) if token in special_ids), None)
