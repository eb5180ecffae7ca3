"""Prompt templates by name: the model's own chat template, Alpaca's format, and plain text."""

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from ftlab.data.prompting.chat_template import chat
from ftlab.data.prompting.slots import INPUT, PROMPT, REQUEST, PromptTemplate, RenderTemplate, TurnShape, TurnTemplate


def alpaca(tokenizer: PreTrainedTokenizerBase, system: str | None, turns: Sequence[TurnShape]) -> PromptTemplate:
    """Render the format of Stanford Alpaca (Taori et al., 2023); a system prompt replaces its preamble."""

    def turn(with_input: bool) -> str:
        context = ", paired with an input that provides further context" if with_input else ""
        preamble = system or (
            f"Below is an instruction that describes a task{context}. "
            "Write a response that appropriately completes the request."
        )
        middle = f"### Input:\n{INPUT}\n\n" if with_input else ""
        return f"{preamble}\n\n### Instruction:\n{PROMPT}\n\n{middle}### Response:\n"

    return repeat_turns(tokenizer, [turn(shape.has_input) for shape in turns])


def alpaca_zh(tokenizer: PreTrainedTokenizerBase, system: str | None, turns: Sequence[TurnShape]) -> PromptTemplate:
    """Render the three fields of Alpaca in Chinese (指令, 输入, 输出), without a preamble."""

    def turn(with_input: bool) -> str:
        middle = f"### 输入:\n{INPUT}\n\n" if with_input else ""
        return f"### 指令:\n{PROMPT}\n\n{middle}### 输出:\n"

    return repeat_turns(tokenizer, [turn(shape.has_input) for shape in turns], f"{system}\n\n" if system else "")


def plain(tokenizer: PreTrainedTokenizerBase, system: str | None, turns: Sequence[TurnShape]) -> PromptTemplate:
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
