"""Prompts with responses: the model reads the prompt and learns to write the response and to stop."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from ftlab.data.base import DataModule, Encoded, eos_id, tokenized
from ftlab.data.collate import IGNORED, Example
from ftlab.data.rows import Roles, Row, Splits, canonical
from ftlab.data.templates import INPUT, PROMPT, REQUEST, RESPONSE, TEMPLATES, Layout, default_template, fill
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
        lay_out = TEMPLATES[self.template or default_template(tokenizer)]
        layouts = [
            FixedText(tokenizer, lay_out(tokenizer, self.system, with_input=with_input)) for with_input in (False, True)
        ]
        slots = {RESPONSE, *(slot for layout in layouts for slot in layout.slots)}
        written = {slot: _as_plain_text(tokenizer, [fill(slot, row.values) for row in rows]) for slot in slots}
        apart = self.posed.auto_class == "AutoModelForSeq2SeqLM"
        examples, contents, truncated = [], [], 0
        for number, row in enumerate(rows):
            layout = layouts[bool(fill(INPUT, row.values))]
            before = layout.before({slot: texts[number] for slot, texts in written.items()})
            answer = [*layout.opening, *written[RESPONSE][number], *layout.closing]
            if apart:
                example, cut = _read_and_written(before, answer, self.max_length)
            else:
                example, cut = _continued(before, answer, self.max_length)
            truncated += cut
            if apart or len(before) + len(layout.opening) < self.max_length:
                examples.append(example)
                contents.append(canonical(row.values))
        return Encoded(examples, contents, truncated, {_TOO_LONG: len(rows) - len(examples)})


def _continued(before: list[int], answer: list[int], longest: int) -> tuple[Example, bool]:
    """Return prompt and answer as one text for a decoder, and whether it was cut."""
    ids = np.array([*before, *answer], np.int32)
    learned = ids[:longest].copy()
    learned[: len(before)] = IGNORED
    return Example(ids[:longest], learned), len(ids) > longest


def _read_and_written(before: list[int], answer: list[int], longest: int) -> tuple[Example, bool]:
    """Return what an encoder reads and a decoder writes, each within `longest`, and whether one was cut.

    The text read ends with the token that ends the answer, as in T5's pretraining, cut or not.
    """
    end = answer[-1]
    read = np.array([*before[: longest - 1], end], np.int32)
    return Example(read, np.array(answer[:longest], np.int32)), max(len(before) + 1, len(answer)) > longest


class FixedText:
    """The fixed text of a layout as token ids, around the slots."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, layout: Layout) -> None:
        """Tokenize the pieces between the slots, control tokens included."""

        def ids(text: str) -> list[int]:
            return list(tokenizer(text, add_special_tokens=False)["input_ids"]) if text else []

        pieces = re.split(f"([{PROMPT}{INPUT}{REQUEST}])", layout.before)
        self.slots = pieces[1::2]
        self._pieces = [piece if piece in self.slots else ids(piece) for piece in pieces]
        self.opening = ids(layout.opening)
        self.closing = _up_to_end_of_turn(tokenizer, ids(layout.closing))

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


def _as_plain_text(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    """Tokenize what the user wrote so that the name of a control token in it is text like any other."""
    batches = tokenized(tokenizer, texts, add_special_tokens=False, split_special_tokens=True)
    return [list(ids) for batch in batches for ids in batch["input_ids"]]
