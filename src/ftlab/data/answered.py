"""What all data with answers shares: the model reads what is asked and learns to write the answer and to stop."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar, Literal

from transformers import PreTrainedTokenizerBase

from ftlab.data.base import DataModule
from ftlab.data.encoded import Encoded
from ftlab.data.layouts import Cut, FixedText, Side, Written, continued, read_and_written
from ftlab.data.own_template import check, lay_out
from ftlab.data.rows import Columns, Row, canonical
from ftlab.data.templates import RESPONSE, SYSTEM, fill
from ftlab.data.tokens import plain_ids
from ftlab.data.turns import Conversation, Turn
from ftlab.errors import DataError
from ftlab.groups import DatasetConfig
from ftlab.tasks.spec import Task

_TOO_LONG = "response truncated"
_PORTION = 1000  # rows laid out at once

Shape = tuple[bool, tuple[bool, ...]]  # whether a row has a system prompt of its own; for each turn, if it has an input


@dataclass(frozen=True)
class Question:
    """What a model is to answer.

    Attributes:
        read: token ids, the demonstrations included.
        opening: what its answer may open with, by some chat templates.
        end: token that ends it.
        asked: what the user asked last.
        expected: the answer in the data.
    """

    read: list[int]
    opening: list[int]
    end: int
    asked: str
    expected: str


class AnsweredData(DataModule, ABC):
    """Loss on the answers and the end of each. Rows of which nothing of an answer fits are left out."""

    kind: ClassVar[Task]

    def __init__(
        self,
        *args: Any,
        template: str | None = None,
        system: str | None = None,
        loss_on: Literal["response", "all"] = "response",
        truncation: Side = "right",
        generates: bool = False,
        **settings: Any,
    ) -> None:
        """Take the rows.

        Args:
            args: see `DataModule`.
            template: chat, alpaca, alpaca_zh, plain or Jinja; null: chat for tokenizers with a chat template, else
                plain.
            system: system prompt of conversations that have none of their own.
            loss_on: whether the answers are learned, or what is given too.
            truncation: side on which what is too long is cut.
            generates: whether test rows are answered, so that there is something to show of it.
            settings: see `DataModule`.
        """
        check(template)
        self.generates = generates
        super().__init__(*args, **settings)
        self.template = template
        self.system = system
        self.loss_on = loss_on
        self.truncation: Side = truncation

    @classmethod
    def arguments(cls, config: DatasetConfig, columns: Columns) -> dict[str, Any]:
        """Take what decides how questions and answers are laid out; see `__init__`."""
        return {
            "template": config.template,
            "system": config.system,
            "loss_on": config.loss_on,
            "truncation": config.truncation,
            "generates": config.generate.rows > 0,
        }

    @abstractmethod
    def conversation(self, values: Mapping[str, str]) -> Conversation:
        """Return what a row says, from role -> text; answers may be empty."""

    @property
    def task(self) -> Task:
        """Language modelling of the answers."""
        return self.kind.writing() if self.generates else self.kind

    def encode(self, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> Encoded:
        """Lay every row out and cut it to max_length; labels are -100 up to the first token of an answer.

        An encoder-decoder writes one answer at a time: each turn is an example.
        """
        examples, contents, truncated, dropped = [], [], 0, 0
        for row, _, _, cuts in self._cut(tokenizer, rows):
            kept = [cut for cut in cuts if cut is not None]
            truncated += any(cut is None or cut.truncated for cut in cuts)
            dropped += not kept
            examples += [cut.example for cut in kept]
            contents += [canonical(row.values)] * len(kept)
        return Encoded(examples, contents, truncated, {_TOO_LONG: dropped})

    def questions(self, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> Iterator[Question | None]:
        """Yield what each example of these rows asks last; None where the answer's place was cut off."""
        for _, conversation, fixed, cuts in self._cut(tokenizer, rows):
            for cut in cuts:
                if cut is not None:
                    turn, read = conversation.turns[cut.turn], cut.example.input_ids[: cut.given].tolist()
                    opening = fixed.openings[cut.turn]
                    question = Question(read, opening, fixed.end, turn.prompt.strip(), turn.response.strip())
                    yield question if cut.given else None

    def demonstrate(self, tokenizer: PreTrainedTokenizerBase, candidates: Iterator[Row]) -> list[Row]:
        """Take the first that fit whole: a response that breaks off would teach to break off."""
        one: Shape = (False, (False,))
        bare, most = self._fixed(tokenizer, one, []).tokens, self.posed.shot_tokens
        fitting = (
            row
            for row in candidates
            if self._fixed(tokenizer, one, self.conversation(row.values).turns).tokens - bare <= most
        )
        return list(islice(fitting, self.posed.shots))

    def _cut(
        self, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]
    ) -> Iterator[tuple[Row, Conversation, FixedText, list[Cut | None]]]:
        """Yield each row with its examples: None in place of one in which nothing is learned."""
        apart = self.posed.auto_class == "AutoModelForSeq2SeqLM"
        if apart and self.loss_on == "all":
            raise DataError("dataset.loss_on=all is for decoders: an encoder-decoder learns what it writes; leave it.")
        shown = [turn for values in self.demonstrations for turn in self.conversation(values).turns]
        fixed: dict[Shape, tuple[FixedText, int]] = {}
        for start in range(0, len(rows), _PORTION):
            portion = rows[start : start + _PORTION]
            conversations = [self.conversation(row.values) for row in portion]
            shapes = [
                (bool(said.system), tuple(bool(turn.input.strip()) for turn in said.turns)) for said in conversations
            ]
            for shape in shapes:
                if shape not in fixed:
                    full = self._fixed(tokenizer, shape, shown)
                    # demonstrations leave a question all its room
                    added = full.tokens - self._fixed(tokenizer, shape, []).tokens if shown else 0
                    fixed[shape] = full, self.max_length + added
            texts = [fixed[shape][0] for shape in shapes]
            for row, said, shape, turns in zip(
                portion, conversations, shapes, _written(tokenizer, conversations, texts), strict=True
            ):
                text, room = fixed[shape]
                yield row, said, text, list(self._cuts(turns, text, room, apart=apart))

    def _cuts(self, turns: list[Written], text: FixedText, room: int, *, apart: bool) -> Iterator[Cut | None]:
        if not apart:
            yield continued(turns, text.openings, room, side=self.truncation, everything=self.loss_on == "all")
            return
        read: list[int] = []
        for number, (before, answer) in enumerate(turns):
            read += before
            cut = read_and_written(read, answer, room, self.max_length, side=self.truncation)
            yield Cut(cut.example, cut.given, number, cut.truncated)
            read += answer

    def _fixed(self, tokenizer: PreTrainedTokenizerBase, shape: Shape, shown: Sequence[Turn]) -> FixedText:
        """Return the fixed text of rows of this shape, `shown` being solved before the row's own turns."""
        own, with_inputs = shape
        earlier = [bool(turn.input.strip()) for turn in shown]
        layout = lay_out(self.template, tokenizer)(tokenizer, SYSTEM if own else self.system, [*earlier, *with_inputs])
        return FixedText(tokenizer, layout, shown)


def _written(
    tokenizer: PreTrainedTokenizerBase, conversations: Sequence[Conversation], fixed: Sequence[FixedText]
) -> Iterator[list[Written]]:
    """Yield the turns of each conversation as token ids, all their texts being tokenized at once."""
    places = [
        (turn, said, [*dict.fromkeys([*slots, RESPONSE])])
        for said, text in zip(conversations, fixed, strict=True)
        for turn, slots in zip(said.turns, text.slots, strict=True)
    ]
    ids = iter(plain_ids(tokenizer, [fill(slot, turn, said) for turn, said, slots in places for slot in slots]))
    filled = iter([{slot: next(ids) for slot in slots} for _, _, slots in places])
    for said, text in zip(conversations, fixed, strict=True):
        yield text.filled([next(filled) for _ in said.turns])
