"""A layout as token ids, and a row cut to what the model may read."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from transformers import PreTrainedTokenizerBase

from ftlab.data.collate import IGNORED, Example
from ftlab.data.templates import RESPONSE, SLOTS, Layout, fill
from ftlab.data.tokens import eos_id, fixed_ids, plain_ids
from ftlab.data.turns import Conversation, Turn

Side = Literal["left", "right"]
Written = tuple[list[int], list[int]]  # of a turn: what the model is given, and what it writes


@dataclass(frozen=True)
class Cut:
    """An example that fits.

    Attributes:
        example: what the model sees.
        given: how many of its tokens stand ahead of the last answer; 0: that answer is not in it.
        turn: number of the turn with that answer.
        truncated: whether tokens were lost.
    """

    example: Example
    given: int
    turn: int
    truncated: bool


_SLOT = re.compile(f"([{''.join(SLOTS)}])")


class FixedText:
    """The fixed text of a layout as token ids, around the slots of the turns; demonstrations are filled in.

    Attributes:
        slots: for each turn behind the demonstrations, the slots in it, without that of the response.
        openings: for each of them, what the model writes ahead of its answer.
        tokens: number of tokens ahead of the last answer that are the same for every row.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, layout: Layout, shown: Sequence[Turn] = ()) -> None:
        """Tokenize the pieces between the slots, control tokens included, and fill the first turns with `shown`."""
        self.slots: list[list[str]] = []
        self.openings: list[list[int]] = []
        self._pieces: list[list[str | list[int]]] = []
        self._ends: list[list[int]] = []
        ahead: list[str | list[int]] = []  # the demonstrations so far
        for number, turn in enumerate(layout.turns):
            texts = _SLOT.split(turn.before)
            pieces: list[str | list[int]] = [
                text if place % 2 else fixed_ids(tokenizer, text) for place, text in enumerate(texts)
            ]
            opening = fixed_ids(tokenizer, turn.opening)
            if number < len(shown):
                row = Conversation((shown[number],))
                filled = [
                    plain_ids(tokenizer, [fill(piece, shown[number], row)])[0] if isinstance(piece, str) else piece
                    for piece in pieces
                ]
                ahead += [*filled, opening, plain_ids(tokenizer, [fill(RESPONSE, shown[number], row)])[0]]
                continue
            if self._pieces:  # the answer before ends here, and the model learns to end it
                between = pieces[0]
                assert not isinstance(between, str)
                end = _end_of_turn(tokenizer, between) or 0
                self._ends.append(between[:end] or [eos_id(tokenizer)])
                pieces[0] = between[end:]
            self._pieces.append([*ahead, *pieces])
            self.openings.append(opening)
            self.slots.append([piece for piece in pieces if isinstance(piece, str)])
            ahead = []
        closing = fixed_ids(tokenizer, layout.closing)
        last = _end_of_turn(tokenizer, closing)  # a line break behind it is never written
        self._ends.append(closing[:last] if last else [*closing, eos_id(tokenizer)])
        self.tokens = sum(len(piece) for turn in self._pieces for piece in turn if not isinstance(piece, str))

    @property
    def end(self) -> int:
        """The token that ends an answer."""
        return self._ends[-1][-1]

    def filled(self, slots: Sequence[Mapping[str, list[int]]]) -> list[Written]:
        """Return the turns with these ids in their slots."""
        return [
            (
                [token for piece in pieces for token in (written[piece] if isinstance(piece, str) else piece)],
                [*opening, *written[RESPONSE], *end],
            )
            for pieces, opening, end, written in zip(self._pieces, self.openings, self._ends, slots, strict=True)
        ]


def continued(
    turns: Sequence[Written], openings: Sequence[list[int]], longest: int, *, side: Side, everything: bool
) -> Cut | None:
    """Return a conversation as one text for a decoder, with the answers learned; None where nothing is left to learn.

    Cut on the right, it ends with the last answer of which something fits. Cut on the left, an answer whose own
    beginning is gone is read and not learned.

    Args:
        turns: given and written.
        openings: what each answer opens with: alone it teaches nothing.
        longest: most tokens.
        side: the side that is cut.
        everything: whether what is given is learned too.
    """
    ids: list[int] = []
    learned: list[int] = []
    starts: list[int] = []  # of the answers
    total = sum(len(before) + len(answer) for before, answer in turns)
    gone = max(0, total - longest) if side == "left" else 0  # tokens cut off at the start
    for (before, answer), opening in zip(turns, openings, strict=True):
        if side == "right" and len(ids) + len(before) + len(opening) >= longest and not everything:
            break
        ids += before
        starts.append(len(ids))
        ids += answer
        learned += before if everything else [IGNORED] * len(before)
        learned += answer if everything or starts[-1] > gone else [IGNORED] * len(answer)
    ids, learned = ids[gone:][:longest], learned[gone:][:longest]
    if all(label == IGNORED for label in learned[1:]):  # the first token follows nothing
        return None
    answers = [(start - gone, turn) for turn, start in enumerate(starts) if 0 < start - gone < len(ids)]
    given, turn = answers[-1] if answers else (0, 0)
    return Cut(Example(np.array(ids, np.int32), np.array(learned, np.int32)), given, turn, total > longest)


def read_and_written(before: list[int], answer: list[int], longest: int, longest_answer: int, *, side: Side) -> Cut:
    """Return what an encoder reads and a decoder writes, each cut to its longest.

    The text read ends with the token that ends the answer, as in T5's pretraining, cut or not.
    """
    room = longest - 1
    kept = before[:room] if side == "right" else before[max(0, len(before) - room) :]
    read = np.array([*kept, answer[-1]], np.int32)
    cut = len(before) > room or len(answer) > longest_answer
    return Cut(Example(read, np.array(answer[:longest_answer], np.int32)), len(read), 0, cut)


def _end_of_turn(tokenizer: PreTrainedTokenizerBase, closing: list[int]) -> int | None:
    """Return how many tokens there are up to the first control token: a model stops there. None: there is none."""
    added = tokenizer.added_tokens_decoder
    control = {*tokenizer.all_special_ids, *(token for token in added if added[token].special)}
    return next((place + 1 for place, token in enumerate(closing) if token in control), None)
