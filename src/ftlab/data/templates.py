"""How questions and answers are laid out as text, and where in it the model is to learn.

A layout is fixed text with slots for what the user wrote. The two are tokenized apart: fixed text with its control
tokens, the user's text as plain text, so that `<|im_end|>` in a prompt is seven characters and ends no turn. It also
makes the loss mask exact: an answer's first token is known, not searched for.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jinja2
from transformers import PreTrainedTokenizerBase

from ftlab.data.turns import Conversation, Turn
from ftlab.errors import DataError

# Slots are private-use characters, which no template and no sane text contains.
# REQUEST is prompt and input as one text: tokens may span the line break between them.
PROMPT, INPUT, REQUEST, RESPONSE, SYSTEM = SLOTS = "\ue0f0", "\ue0f1", "\ue0f2", "\ue0f3", "\ue0f4"

_DATE = "26 Jul 2024"  # Llama 3.2 tells the model the date; with today's, a run could not be repeated tomorrow


@dataclass(frozen=True)
class Opened:
    """One turn as text, up to its response.

    Attributes:
        before: what the model is given, with slots; of later turns it begins with what ends the answer before.
        opening: what the model writes ahead of its answer, by some chat templates.
    """

    before: str
    opening: str = ""


@dataclass(frozen=True)
class Layout:
    """One example as text: for each turn `before`, then what the model learns: `opening`, the response, what ends it.

    Attributes:
        turns: oldest first.
        closing: what ends the last answer; empty where the tokenizer's eos token does.
    """

    turns: tuple[Opened, ...]
    closing: str = ""


LayOut = Callable[[PreTrainedTokenizerBase, str | None, Sequence[bool]], Layout]  # see `chat`


def fill(slot: str, turn: Turn, conversation: Conversation) -> str:
    """Return what stands in a slot: text without blank ends, as chat templates have it."""
    prompt, given = turn.prompt.strip(), turn.input.strip()
    request = f"{prompt}\n\n{given}" if given else prompt
    system = (conversation.system or "").strip()
    return {PROMPT: prompt, INPUT: given, REQUEST: request, RESPONSE: turn.response.strip(), SYSTEM: system}[slot]


def chat(tokenizer: PreTrainedTokenizerBase, system: str | None, turns: Sequence[bool]) -> Layout:
    """The tokenizer's own chat template, with prompt and input as the user's turn.

    Args:
        tokenizer: the model's.
        system: system prompt, or the slot for it; None: none.
        turns: for each turn, whether it has an input beside its prompt.
    """
    if not tokenizer.chat_template:
        raise DataError("dataset.template=chat needs a tokenizer with a chat template: use plain, alpaca or alpaca_zh.")

    def rendered(*, asking: bool) -> str:
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=asking, date_string=_DATE)
        return str(text)

    messages: list[dict[str, str]] = [{"role": "system", "content": system}] if system else []
    given = []
    try:
        for _ in turns:
            messages.append({"role": "user", "content": REQUEST})
            given.append(rendered(asking=True))
            messages.append({"role": "assistant", "content": RESPONSE})
        whole = rendered(asking=False)
    except jinja2.TemplateError as error:
        raise DataError(
            f"the chat template refuses this layout ({error}): leave dataset.system unset, and system messages out of "
            "the data."
        ) from None
    *parts, closing = whole.split(RESPONSE)
    opened, start = [], 0
    for part, prompt in zip(parts, given, strict=False):
        if whole.startswith(prompt) and start <= len(prompt) <= start + len(part) and part.count(REQUEST) == 1:
            opened.append(Opened(whole[start : len(prompt)], whole[len(prompt) : start + len(part)]))
        start += len(part) + len(RESPONSE)
    if len(parts) != len(turns) or len(opened) != len(turns):
        raise DataError(
            "the chat template does not continue its own generation prompt with the answer, so the answer's place is "
            "unknown: use dataset.template=plain, alpaca or alpaca_zh."
        )
    return Layout(tuple(opened), closing)


def alpaca(tokenizer: PreTrainedTokenizerBase, system: str | None, turns: Sequence[bool]) -> Layout:
    """The format of Stanford Alpaca (Taori et al., 2023); a system prompt takes the place of its preamble."""

    def turn(with_input: bool) -> str:
        context = ", paired with an input that provides further context" if with_input else ""
        preamble = system or (
            f"Below is an instruction that describes a task{context}. "
            "Write a response that appropriately completes the request."
        )
        middle = f"### Input:\n{INPUT}\n\n" if with_input else ""
        return f"{preamble}\n\n### Instruction:\n{PROMPT}\n\n{middle}### Response:\n"

    return repeated(tokenizer, [turn(given) for given in turns])


def alpaca_zh(tokenizer: PreTrainedTokenizerBase, system: str | None, turns: Sequence[bool]) -> Layout:
    """指令, 输入, 输出: Alpaca's three fields in Chinese, without a preamble."""

    def turn(with_input: bool) -> str:
        middle = f"### 输入:\n{INPUT}\n\n" if with_input else ""
        return f"### 指令:\n{PROMPT}\n\n{middle}### 输出:\n"

    return repeated(tokenizer, [turn(given) for given in turns], f"{system}\n\n" if system else "")


def plain(tokenizer: PreTrainedTokenizerBase, system: str | None, turns: Sequence[bool]) -> Layout:
    """Prompt and input, and the response on a line of its own."""
    return repeated(tokenizer, [f"{REQUEST}\n"] * len(turns), f"{system}\n" if system else "")


TEMPLATES: dict[str, LayOut] = {"chat": chat, "alpaca": alpaca, "alpaca_zh": alpaca_zh, "plain": plain}


def default_template(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return `chat` for tokenizers with a chat template, else `plain`."""
    return "chat" if tokenizer.chat_template else "plain"


def repeated(tokenizer: PreTrainedTokenizerBase, turns: Sequence[str], preamble: str = "") -> Layout:
    """Return a layout in which all turns but the last have their response, ended as the model ends it."""
    first, *later = turns
    end = f"{tokenizer.eos_token or ''}\n\n"
    return Layout((Opened(f"{start(tokenizer)}{preamble}{first}"), *(Opened(f"{end}{turn}") for turn in later)))


def start(tokenizer: PreTrainedTokenizerBase) -> str:
    """The token that this tokenizer puts ahead of every text, if any; chat templates write it themselves."""
    bos = tokenizer.bos_token
    return str(bos) if bos and tokenizer("")["input_ids"][:1] == [tokenizer.bos_token_id] else ""
