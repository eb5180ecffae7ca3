"""Prompts with responses: the model reads the prompt and learns to write the response and to stop."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from ftlab.data.base import DataModule
from ftlab.data.collate import IGNORED, Example
from ftlab.data.encoded import Encoded
from ftlab.data.rows import Roles, Row, Splits, canonical
from ftlab.data.templates import INPUT, PROMPT, REQUEST, RESPONSE, TEMPLATES, Layout, default_template, fill
from ftlab.data.tokens import eos_id, fixed_ids, plain_ids
from ftlab.errors import DataError, did_you_mean
from ftlab.tasks.spec import INSTRUCTION, Task

_TOO_LONG = "response truncated"


class InstructionData(DataModule):
    """Loss on the response and the end of the turn only. Rows of which nothing of the response fits are left out."""

    roles = Roles(required=("prompt", "response"), optional=("input",), given=("prompt", "input"))

    def __init__(self, splits: Splits, *, template: str | None, system: str | None, **settings: Any) -> None:
        """Take the rows; see `DataModule`.

        Args:
            splits: rows of train, val and test.
            template: chat, alpaca, alpaca_zh or plain; null: chat for tokenizers with a chat template, else plain.
            system: system prompt.
            settings: see `DataModule`.
        """
        if template is not None and template not in TEMPLATES:
            raise DataError(f"dataset.template={template} is unknown: {did_you_mean(template, TEMPLATES)}.")
        super().__init__(splits, **settings)
        self.template = template
        self.system = system

    @property
    def task(self) -> Task:
        """Causal language modelling of the responses."""
        return INSTRUCTION

    def encode(self, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> Encoded:
        """Lay every row out and cut it to max_length; labels are -100 up to the first token of the answer."""
        bare, layouts = self._layouts(tokenizer, []), self._layouts(tokenizer, self.demonstrations)
        # demonstrations leave a question all its room
        longest = [self.max_length + full.tokens - empty.tokens for full, empty in zip(layouts, bare, strict=True)]
        slots = {RESPONSE, *(slot for layout in layouts for slot in layout.slots)}
        written = {slot: plain_ids(tokenizer, [fill(slot, row.values) for row in rows]) for slot in slots}
        apart = self.posed.auto_class == "AutoModelForSeq2SeqLM"
        examples, contents, truncated = [], [], 0
        for number, row in enumerate(rows):
            with_input = bool(fill(INPUT, row.values))
            layout, room = layouts[with_input], longest[with_input]
            before = layout.before({slot: texts[number] for slot, texts in written.items()})
            answer = [*layout.opening, *written[RESPONSE][number], *layout.closing]
            if apart:
                example, cut = _read_and_written(before, answer, room, self.max_length)
            else:
                example, cut = _continued(before, answer, room)
            truncated += cut
            if apart or len(before) + len(layout.opening) < room:
                examples.append(example)
                contents.append(canonical(row.values))
        return Encoded(examples, contents, truncated, {_TOO_LONG: len(rows) - len(examples)})

    def demonstrate(self, tokenizer: PreTrainedTokenizerBase, candidates: Iterator[Row]) -> list[Row]:
        """Take the first that fit whole: a response that breaks off would teach to break off."""
        bare, most = self._layouts(tokenizer, [])[0].tokens, self.posed.shot_tokens
        fitting = (row for row in candidates if self._layouts(tokenizer, [row.values])[0].tokens - bare <= most)
        return list(islice(fitting, self.posed.shots))

    def _layouts(self, tokenizer: PreTrainedTokenizerBase, shown: Sequence[Mapping[str, str]]) -> list["FixedText"]:
        """Return the fixed text of rows without and with input, `shown` being solved before the row's own turn."""
        lay_out = TEMPLATES[self.template or default_template(tokenizer)]
        earlier = [bool(fill(INPUT, values)) for values in shown]
        return [
            FixedText(tokenizer, lay_out(tokenizer, self.system, with_input=with_input, earlier=earlier), shown)
            for with_input in (False, True)
        ]


def _continued(before: list[int], answer: list[int], longest: int) -> tuple[Example, bool]:
    """Return prompt and answer as one text for a decoder, and whether it was cut."""
    ids = np.array([*before, *answer], np.int32)
    learned = ids[:longest].copy()
    learned[: len(before)] = IGNORED
    return Example(ids[:longest], learned), len(ids) > longest


def _read_and_written(before: list[int], answer: list[int], longest: int, longest_answer: int) -> tuple[Example, bool]:
    """Return what an encoder reads and a decoder writes, each cut to its longest, and whether one was cut.

    The text read ends with the token that ends the answer, as in T5's pretraining, cut or not.
    """
    end = answer[-1]
    read = np.array([*before[: longest - 1], end], np.int32)
    cut = len(before) + 1 > longest or len(answer) > longest_answer
    return Example(read, np.array(answer[:longest_answer], np.int32)), cut


class FixedText:
    """The fixed text of a layout as token ids, around the slots of the last turn; earlier turns are filled."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, layout: Layout, shown: Sequence[Mapping[str, str]] = ()
    ) -> None:
        """Tokenize the pieces between the slots, control tokens included, and fill the earlier turns with `shown`."""
        pieces = re.split(f"([{PROMPT}{INPUT}{REQUEST}{RESPONSE}])", layout.before)
        self.slots: list[str] = []
        self._pieces: list[str | list[int]] = []
        turn = 0
        for number, piece in enumerate(pieces):
            if number % 2 == 0:
                self._pieces.append(fixed_ids(tokenizer, piece))
            elif turn < len(shown):
                self._pieces.append(plain_ids(tokenizer, [fill(piece, shown[turn])])[0])
                turn += piece == RESPONSE  # it ends the turn
            else:
                self.slots.append(piece)
                self._pieces.append(piece)
        self.opening = fixed_ids(tokenizer, layout.opening)
        self.closing = _up_to_end_of_turn(tokenizer, fixed_ids(tokenizer, layout.closing))

    @property
    def tokens(self) -> int:
        """Number of tokens ahead of the answer that are the same for every row."""
        return sum(len(piece) for piece in self._pieces if not isinstance(piece, str))

    def before(self, slots: Mapping[str, list[int]]) -> list[int]:
        """Return the ids of what the model is given, with these ids in the slots."""
        return [token for piece in self._pieces for token in (slots[piece] if isinstance(piece, str) else piece)]


def _up_to_end_of_turn(tokenizer: PreTrainedTokenizerBase, closing: list[int]) -> list[int]:
    """Cut behind the first control token: a model stops there, so a line break after it is never written."""
    added = tokenizer.added_tokens_decoder
    control = {*tokenizer.all_special_ids, *(token for token in added if added[token].special)}
    for position, token in enumerate(closing):
        if token in control:
            return closing[: position + 1]
    return [*closing, eos_id(tokenizer)]
