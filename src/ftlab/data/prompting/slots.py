"""Prompt template as text with slots for the words of a row, and the texts that fill them.

Fixed text and the user's text are tokenized separately: fixed text with its special tokens, the user's text as plain
text, so that `<|im_end|>` in a prompt is ordinary characters and ends no turn. It also makes the loss mask exact: the
position of a response's first token is known and need not be searched for.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from ftlab.data.rows.turns import Conversation, Turn

# Slots are private-use characters, which templates and real text do not contain.
# REQUEST is prompt and input as one text: a token may span the line break between them.
# RESPONSE is the whole response; ANSWER is what follows the reasoning in it, or after REASONING from a key of its own.
PROMPT, INPUT, REQUEST, RESPONSE, SYSTEM, REASONING, ANSWER = SLOTS = (
    *("\ue0f0", "\ue0f1", "\ue0f2", "\ue0f3", "\ue0f4", "\ue0f5", "\ue0f6"),
)
SLOT = re.compile(f"([{''.join(SLOTS)}])")
RESPONSES = re.compile(f"[{RESPONSE}{ANSWER}]")

# Reasoning in front of an answer. The blanks around it belong to the tags, as templates treat them differently.
_REASONING_BLOCK = re.compile(r"(?s)((?:<think>)?\s*)(.*?)(\s*</think>\s*)(.*)")
_TAGS = ("<think>", "</think>")


@dataclass(frozen=True, slots=True)
class TurnShape:
    """What a template has to know of a turn.

    Attributes:
        has_input: whether it has an input in addition to its prompt.
        has_reasoning: whether the response comes with reasoning.
        tags: text before and after the reasoning, if that is in the response; None if it is a key of its own.
    """

    has_input: bool = False
    has_reasoning: bool = False
    tags: tuple[str, str] | None = None


@dataclass(frozen=True)
class TurnTemplate:
    """The text of one turn, up to its response.

    Attributes:
        before: the prompt, with slots; in later turns it begins with the end of the previous response.
        opening: text that some chat templates put between the generation prompt and the response, and the reasoning;
            the model learns it.
        response: the slot that follows, RESPONSE or ANSWER.
    """

    before: str
    opening: str = ""
    response: str = RESPONSE


@dataclass(frozen=True)
class PromptTemplate:
    """The text of one example, with slots.

    Each turn is `before`, then what the model learns: `opening`, the response and its end.

    Attributes:
        turns: oldest first.
        closing: text that ends the last response; empty if the tokenizer's eos token ends it.
        drops_reasoning: whether the reasoning of an earlier turn is left out.
    """

    turns: tuple[TurnTemplate, ...]
    closing: str = ""
    drops_reasoning: bool = False

    def text(self, turns: Sequence[Turn], conversation: Conversation) -> str:
        """Return the text of an example with these turns, as it is tokenized, with all of the closing."""
        filled = [
            filled_text(f"{part.before}{part.opening}{part.response}", turn, conversation)
            for part, turn in zip(self.turns, turns, strict=True)
        ]
        return "".join([*filled, self.closing])


# Takes the tokenizer, the system prompt (None: there is none) and the shape of each turn.
RenderTemplate = Callable[[PreTrainedTokenizerBase, str | None, Sequence[TurnShape]], PromptTemplate]


def turn_shape(turn: Turn, *, reasons: bool) -> TurnShape:
    """Return the shape of a turn; `reasons`: whether reasoning in a response is told from the answer."""
    has_input = bool(turn.input.strip())
    if turn.reasoning.strip():
        return TurnShape(has_input, has_reasoning=True)
    block = split_reasoning(turn.response) if reasons else None
    return TurnShape(has_input, bool(block[1]), (block[0], block[2])) if block else TurnShape(has_input)


def split_reasoning(response: str) -> tuple[str, str, str, str] | None:
    """Return opening tag, reasoning, closing tag and answer of a response, with blanks; None without such a block."""
    block = _REASONING_BLOCK.fullmatch(response.strip()) if _TAGS[1] in response else None
    if block is None or any(tag in block[part] for tag in _TAGS for part in (2, 4)):
        return None
    return block[1], block[2], block[3], block[4]


def filled_text(text: str, turn: Turn, conversation: Conversation) -> str:
    """Return a text with the words of a turn in its slots."""
    parts = SLOT.split(text)  # slots are at the odd positions
    return "".join(slot_text(part, turn, conversation) if number % 2 else part for number, part in enumerate(parts))


def slot_text(slot: str, turn: Turn, conversation: Conversation) -> str:
    """Return the text that fills a slot, stripped of blanks as in chat templates."""
    prompt, input_text = turn.prompt.strip(), turn.input.strip()
    if slot == PROMPT:
        return prompt
    if slot == INPUT:
        return input_text
    if slot == REQUEST:
        return f"{prompt}\n\n{input_text}" if input_text else prompt
    if slot == SYSTEM:
        return (conversation.system or "").strip()
    if slot == RESPONSE:
        return turn.response.strip()
    if slot == REASONING and turn.reasoning.strip():
        return turn.reasoning.strip()
    block = split_reasoning(turn.response)
    assert block is not None
    return block[1] if slot == REASONING else block[3]
