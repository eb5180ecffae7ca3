"""Prompt templates: fixed text with slots for prompt and response.

Fixed text and the user's text are tokenized separately: fixed text with its special tokens, the user's text as plain
text, so that `<|im_end|>` in a prompt is ordinary characters and ends no turn. It also makes the loss mask exact: the
position of a response's first token is known and need not be searched for.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jinja2
from transformers import PreTrainedTokenizerBase

from ftlab.core.errors import DataError, reason
from ftlab.data.rows.turns import Conversation, Turn

# Slots are private-use characters, which templates and real text do not contain.
# REQUEST is prompt and input as one text: a token may span the line break between them.
PROMPT, INPUT, REQUEST, RESPONSE, SYSTEM = SLOTS = "\ue0f0", "\ue0f1", "\ue0f2", "\ue0f3", "\ue0f4"

_DATE = "26 Jul 2024"  # Llama 3.2's chat template contains the date; with today's, a run would not be reproducible


@dataclass(frozen=True)
class TurnTemplate:
    """The text of one turn, up to its response.

    Attributes:
        before: the prompt, with slots; in later turns it begins with the end of the previous response.
        opening: text that some chat templates put between the generation prompt and the response; the model learns it.
    """

    before: str
    opening: str = ""


@dataclass(frozen=True)
class PromptTemplate:
    """The text of one example, with slots.

    Each turn is `before`, then what the model learns: `opening`, the response and its end.

    Attributes:
        turns: oldest first.
        closing: text that ends the last response; empty if the tokenizer's eos token ends it.
    """

    turns: tuple[TurnTemplate, ...]
    closing: str = ""


RenderTemplate = Callable[[PreTrainedTokenizerBase, str | None, Sequence[bool]], PromptTemplate]  # see `chat`


def slot_text(slot: str, turn: Turn, conversation: Conversation) -> str:
    """Return the text that fills a slot, stripped of blanks as in chat templates."""
    prompt, input_text = turn.prompt.strip(), turn.input.strip()
    request = f"{prompt}\n\n{input_text}" if input_text else prompt
    system = (conversation.system or "").strip()
    return {PROMPT: prompt, INPUT: input_text, REQUEST: request, RESPONSE: turn.response.strip(), SYSTEM: system}[slot]


def chat(tokenizer: PreTrainedTokenizerBase, system: str | None, turns: Sequence[bool]) -> PromptTemplate:
    """Render the tokenizer's own chat template, with prompt and input as the user's message.

    Args:
        tokenizer: the model's tokenizer.
        system: system prompt, or the slot for it; None for no system prompt.
        turns: for each turn, whether it has an input in addition to its prompt.
    """
    if not tokenizer.chat_template:
        raise DataError("dataset.template=chat needs a tokenizer with a chat template: use plain, alpaca or alpaca_zh.")

    def render(*, generation_prompt: bool) -> str:
        text = tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=generation_prompt, date_string=_DATE
        )
        return str(text)

    messages: list[dict[str, str]] = [{"role": "system", "content": system}] if system else []
    prompts = []  # conversation up to each response, with the generation prompt
    try:
        for _ in turns:
            messages.append({"role": "user", "content": REQUEST})
            prompts.append(render(generation_prompt=True))
            messages.append({"role": "assistant", "content": RESPONSE})
        whole = render(generation_prompt=False)
    except jinja2.TemplateError as error:
        raise DataError(
            f"the chat template rejects these messages ({reason(error)}): leave dataset.system unset, and remove "
            "system messages from the data."
        ) from None
    *parts, closing = whole.split(RESPONSE)
    turn_templates, start = [], 0
    for part, prompt in zip(parts, prompts, strict=False):
        if whole.startswith(prompt) and start <= len(prompt) <= start + len(part) and part.count(REQUEST) == 1:
            turn_templates.append(TurnTemplate(whole[start : len(prompt)], whole[len(prompt) : start + len(part)]))
        start += len(part) + len(RESPONSE)
    if len(parts) != len(turns) or len(turn_templates) != len(turns):
        raise DataError(
            "the chat template does not continue its own generation prompt with the response, so the position of the "
            "response is unknown: use dataset.template=plain, alpaca or alpaca_zh."
        )
    return PromptTemplate(tuple(turn_templates), closing)


def alpaca(tokenizer: PreTrainedTokenizerBase, system: str | None, turns: Sequence[bool]) -> PromptTemplate:
    """Render the format of Stanford Alpaca (Taori et al., 2023); a system prompt replaces its preamble."""

    def turn(with_input: bool) -> str:
        context = ", paired with an input that provides further context" if with_input else ""
        preamble = system or (
            f"Below is an instruction that describes a task{context}. "
            "Write a response that appropriately completes the request."
        )
        middle = f"### Input:\n{INPUT}\n\n" if with_input else ""
        return f"{preamble}\n\n### Instruction:\n{PROMPT}\n\n{middle}### Response:\n"

    return repeat_turns(tokenizer, [turn(with_input) for with_input in turns])


def alpaca_zh(tokenizer: PreTrainedTokenizerBase, system: str | None, turns: Sequence[bool]) -> PromptTemplate:
    """Render the three fields of Alpaca in Chinese (指令, 输入, 输出), without a preamble."""

    def turn(with_input: bool) -> str:
        middle = f"### 输入:\n{INPUT}\n\n" if with_input else ""
        return f"### 指令:\n{PROMPT}\n\n{middle}### 输出:\n"

    return repeat_turns(tokenizer, [turn(with_input) for with_input in turns], f"{system}\n\n" if system else "")


def plain(tokenizer: PreTrainedTokenizerBase, system: str | None, turns: Sequence[bool]) -> PromptTemplate:
    """Render prompt and input, and the response on the next line."""
    return repeat_turns(tokenizer, [f"{REQUEST}\n"] * len(turns), f"{system}\n" if system else "")


TEMPLATES: dict[str, RenderTemplate] = {"chat": chat, "alpaca": alpaca, "alpaca_zh": alpaca_zh, "plain": plain}


def default_template(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return `chat` for tokenizers with a chat template, else `plain`."""
    return "chat" if tokenizer.chat_template else "plain"


def repeat_turns(tokenizer: PreTrainedTokenizerBase, turns: Sequence[str], preamble: str = "") -> PromptTemplate:
    """Return a template of these turns, in which eos and a blank line separate a response from the next turn."""
    first, *later = turns
    end = f"{tokenizer.eos_token or ''}\n\n"
    return PromptTemplate(
        (TurnTemplate(f"{bos_text(tokenizer)}{preamble}{first}"), *(TurnTemplate(f"{end}{turn}") for turn in later))
    )


def bos_text(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return the bos token if this tokenizer puts it before every text, else ""; chat templates write it themselves."""
    bos = tokenizer.bos_token
    return str(bos) if bos and tokenizer("")["input_ids"][:1] == [tokenizer.bos_token_id] else ""
