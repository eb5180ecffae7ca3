"""How an instruction and its answer are laid out as text, and where in it the model is to learn.

A layout is fixed text with slots for what the user wrote. The two are tokenized apart: fixed text with its control
tokens, the user's text as plain text, so that `<|im_end|>` in a prompt is seven characters and ends no turn. It also
makes the loss mask exact: the answer's first token is known, not searched for.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import jinja2
from transformers import PreTrainedTokenizerBase

from ftlab.errors import DataError

# Slots are private-use characters, which no template and no sane text contains.
# REQUEST is prompt and input as one text: tokens may span the line break between them.
PROMPT, INPUT, REQUEST, RESPONSE = "\ue0f0", "\ue0f1", "\ue0f2", "\ue0f3"

_DATE = "26 Jul 2024"  # Llama 3.2 tells the model the date; with today's, a run could not be repeated tomorrow


@dataclass(frozen=True)
class Layout:
    """One example as text: `before`, then what the model learns: `opening`, the response, `closing`.

    Attributes:
        before: what the model is given, with slots: those of earlier turns, each up to its response, then its own.
        opening: what the model writes ahead of its answer, by some chat templates.
        closing: what ends the answer; empty where the tokenizer's eos token does.
    """

    before: str
    opening: str = ""
    closing: str = ""


def fill(slot: str, values: Mapping[str, str]) -> str:
    """Return what stands in a slot for a row: its text without blank ends, as chat templates have it."""
    prompt, given = values["prompt"].strip(), values.get("input", "").strip()
    request = f"{prompt}\n\n{given}" if given else prompt
    return {PROMPT: prompt, INPUT: given, REQUEST: request, RESPONSE: values["response"].strip()}[slot]


def chat(
    tokenizer: PreTrainedTokenizerBase, system: str | None, *, with_input: bool, earlier: Sequence[bool] = ()
) -> Layout:
    """The tokenizer's own chat template, with prompt and input as the user's turn."""
    if not tokenizer.chat_template:
        raise DataError("dataset.template=chat needs a tokenizer with a chat template: use plain, alpaca or alpaca_zh.")
    question, answer = {"role": "user", "content": REQUEST}, {"role": "assistant", "content": RESPONSE}
    turns = [*([{"role": "system", "content": system}] if system else []), *[question, answer] * len(earlier), question]
    try:
        given = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True, date_string=_DATE)
        whole = tokenizer.apply_chat_template([*turns, answer], tokenize=False, date_string=_DATE)
    except jinja2.TemplateError as error:
        raise DataError(f"the chat template refuses this layout ({error}): leave dataset.system unset.") from None
    before, found, closing = str(whole).rpartition(RESPONSE)
    if not found or not before.startswith(str(given)) or before.count(REQUEST) != len(earlier) + 1:
        raise DataError(
            "the chat template does not continue its own generation prompt with the answer, so the answer's place is "
            "unknown: use dataset.template=plain, alpaca or alpaca_zh."
        )
    return Layout(str(given), before.removeprefix(str(given)), closing)


def alpaca(
    tokenizer: PreTrainedTokenizerBase, system: str | None, *, with_input: bool, earlier: Sequence[bool] = ()
) -> Layout:
    """The format of Stanford Alpaca (Taori et al., 2023); a system prompt takes the place of its preamble."""

    def turn(with_input: bool) -> str:
        context = ", paired with an input that provides further context" if with_input else ""
        preamble = system or (
            f"Below is an instruction that describes a task{context}. "
            "Write a response that appropriately completes the request."
        )
        middle = f"### Input:\n{INPUT}\n\n" if with_input else ""
        return f"{preamble}\n\n### Instruction:\n{PROMPT}\n\n{middle}### Response:\n"

    return _repeated(tokenizer, [turn(given) for given in (*earlier, with_input)])


def alpaca_zh(
    tokenizer: PreTrainedTokenizerBase, system: str | None, *, with_input: bool, earlier: Sequence[bool] = ()
) -> Layout:
    """指令, 输入, 输出: Alpaca's three fields in Chinese, without a preamble."""

    def turn(with_input: bool) -> str:
        middle = f"### 输入:\n{INPUT}\n\n" if with_input else ""
        return f"### 指令:\n{PROMPT}\n\n{middle}### 输出:\n"

    return _repeated(tokenizer, [turn(given) for given in (*earlier, with_input)], f"{system}\n\n" if system else "")


def plain(
    tokenizer: PreTrainedTokenizerBase, system: str | None, *, with_input: bool, earlier: Sequence[bool] = ()
) -> Layout:
    """Prompt and input, and the response on a line of its own."""
    return _repeated(tokenizer, [f"{REQUEST}\n"] * (len(earlier) + 1), f"{system}\n" if system else "")


TEMPLATES: dict[str, Callable[..., Layout]] = {"chat": chat, "alpaca": alpaca, "alpaca_zh": alpaca_zh, "plain": plain}


def default_template(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return `chat` for tokenizers with a chat template, else `plain`."""
    return "chat" if tokenizer.chat_template else "plain"


def _repeated(tokenizer: PreTrainedTokenizerBase, turns: Sequence[str], preamble: str = "") -> Layout:
    """Return a layout in which all turns but the last have their response, ended as the model ends it."""
    return Layout(f"{_start(tokenizer)}{preamble}" + f"{RESPONSE}{tokenizer.eos_token or ''}\n\n".join(turns))


def _start(tokenizer: PreTrainedTokenizerBase) -> str:
    """The token that this tokenizer puts ahead of every text, if any; chat templates write it themselves."""
    bos = tokenizer.bos_token
    return str(bos) if bos and tokenizer("")["input_ids"][:1] == [tokenizer.bos_token_id] else ""
