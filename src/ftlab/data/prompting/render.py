"""Rendering of prompts and responses to token ids, truncated to the maximum length."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from transformers import PreTrainedTokenizerBase

from ftlab.core.batch import IGNORE_INDEX
from ftlab.data.encoding.example import Example
from ftlab.data.encoding.tokens import eos_id, plain_ids, template_ids
from ftlab.data.prompting.slots import SLOT, PromptTemplate, filled_text, slot_text
from ftlab.data.rows.turns import Conversation, Turn

TruncationSide = Literal["left", "right"]
PromptAndResponse = tuple[list[int], list[int]]  # token ids of one turn


@dataclass(frozen=True)
class TruncatedExample:
    """An example within the maximum length.

    Attributes:
        example: the example.
        prompt_length: number of its tokens before the last learned response; 0 if that was truncated away.
        turn: index of the turn with that response.
        truncated: whether tokens were lost.
    """

    example: Example
    prompt_length: int
    turn: int
    truncated: bool


Segments = list[str | list[int]]  # slots and the ids between them


class TokenizedTemplate:
    """The fixed text of a prompt template as token ids, around the slots of the turns; few-shot examples are filled in.

    Attributes:
        slots: for each turn after the few-shot examples, its slots, those that are learned last.
        openings: for each of these turns, the token ids of its `TurnTemplate.opening`, up to the reasoning.
        num_tokens: number of tokens before the last response that are the same for every row.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, template: PromptTemplate, demonstrations: Sequence[Turn] = ()
    ) -> None:
        """Tokenize the text between the slots, special tokens included; fill the first turns with `demonstrations`."""
        self.slots: list[list[str]] = []
        self.openings: list[list[int]] = []
        self._template = template
        self._demonstrations = tuple(demonstrations)
        self._segments: list[Segments] = []
        self._learned: list[Segments] = []  # opening and response
        self._ends: list[list[int]] = []
        few_shot: Segments = []  # the demonstrations so far
        for number, turn in enumerate(template.turns):
            segments = _segments(tokenizer, turn.before)
            learned = _segments(tokenizer, f"{turn.opening}{turn.response}")
            if number < len(demonstrations):
                example = demonstrations[number]
                few_shot += [
                    _slot_ids(tokenizer, segment, example) if isinstance(segment, str) else segment
                    for segment in (*segments, *learned)
                ]
                continue
            if self._segments:  # the previous response ends here, and the model learns to end it
                between = segments[0]
                assert not isinstance(between, str)
                end = _end_of_turn(tokenizer, between) or 0
                self._ends.append(between[:end] or [eos_id(tokenizer)])
                segments[0] = between[end:]
            opening = learned[0]
            assert not isinstance(opening, str)
            self._segments.append([*few_shot, *segments])
            self._learned.append(learned)
            self.openings.append(opening)
            self.slots.append([segment for segment in (*segments, *learned) if isinstance(segment, str)])
            few_shot = []
        closing = template_ids(tokenizer, template.closing)
        last = _end_of_turn(tokenizer, closing)  # a line break after it is never generated
        self._ends.append(closing[:last] if last else [*closing, eos_id(tokenizer)])
        self.num_tokens = sum(
            len(segment) for turn in self._segments for segment in turn if not isinstance(segment, str)
        )

    @property
    def drops_reasoning(self) -> bool:
        """Whether the reasoning of an earlier turn is left out."""
        return self._template.drops_reasoning

    def text(self, conversation: Conversation) -> str:
        """Return the text of a conversation with this template's shape, few-shot examples included."""
        return self._template.text((*self._demonstrations, *conversation.turns), conversation)

    def reference(self, conversation: Conversation, turn: int) -> str:
        """Return what the model should write for a turn, after its opening."""
        part = self._template.turns[len(self._demonstrations) + turn]
        opening = "".join(SLOT.split(part.opening)[1:])
        return filled_text(f"{opening}{part.response}", conversation.turns[turn], conversation).strip()

    @property
    def stop_id(self) -> int:
        """The token that ends a response."""
        return self._ends[-1][-1]

    def fill(self, slot_ids: Sequence[Mapping[str, list[int]]]) -> list[PromptAndResponse]:
        """Return the turns with these ids in their slots."""
        return [
            (_filled(segments, ids), [*_filled(learned, ids), *end])
            for segments, learned, end, ids in zip(self._segments, self._learned, self._ends, slot_ids, strict=True)
        ]


def decoder_example(
    turns: Sequence[PromptAndResponse],
    openings: Sequence[list[int]],
    max_length: int,
    *,
    side: TruncationSide,
    loss_on_all: bool,
    learned: Sequence[bool] | None = None,
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
        learned: whether each response may have a loss; None: all may.
    """
    learned = learned or [True] * len(turns)
    ids: list[int] = []
    labels: list[int] = []
    starts: list[int] = []  # of the responses
    total = sum(len(prompt) + len(response) for prompt, response in turns)
    num_lost = max(0, total - max_length) if side == "left" else 0  # tokens lost at the start
    for (prompt, response), opening, is_learned in zip(turns, openings, learned, strict=True):
        if side == "right" and len(ids) + len(prompt) + len(opening) >= max_length and not loss_on_all:
            break
        ids += prompt
        starts.append(len(ids))
        ids += response
        labels += prompt if loss_on_all else [IGNORE_INDEX] * len(prompt)
        has_loss = is_learned and (loss_on_all or starts[-1] > num_lost)
        labels += response if has_loss else [IGNORE_INDEX] * len(response)
    ids, labels = ids[num_lost:][:max_length], labels[num_lost:][:max_length]
    if all(label == IGNORE_INDEX for label in labels[1:]):  # nothing predicts the first token
        return None
    responses = [
        (start - num_lost, turn)
        for turn, start in enumerate(starts)
        if learned[turn] and 0 < start - num_lost < len(ids)
    ]
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


def _segments(tokenizer: PreTrainedTokenizerBase, text: str) -> Segments:
    """Return the slots of a text at the odd positions, and the ids between them at the even ones."""
    return [part if number % 2 else template_ids(tokenizer, part) for number, part in enumerate(SLOT.split(text))]


def _filled(segments: Segments, ids: Mapping[str, list[int]]) -> list[int]:
    return [token for segment in segments for token in (ids[segment] if isinstance(segment, str) else segment)]


def _slot_ids(tokenizer: PreTrainedTokenizerBase, slot: str, turn: Turn) -> list[int]:
    return plain_ids(tokenizer, [slot_text(slot, turn, Conversation((turn,)))])[0]


def _end_of_turn(tokenizer: PreTrainedTokenizerBase, closing: list[int]) -> int | None:
    """Return the number of tokens up to the first special token, included, where a model stops; None without one."""
    added = tokenizer.added_tokens_decoder
    special_ids = {*tokenizer.all_special_ids, *(token for token in added if added[token].special)}
    return next((position + 1 for position, token in enumerate(closing) if token in special_ids), None)
