"""Chat template of the model: its text with slots, and the text that it makes of a whole conversation."""

import json
from collections.abc import Sequence
from typing import Any

import jinja2
from transformers import PreTrainedTokenizerBase

from ftlab.core.errors import DataError, reason
from ftlab.data.prompting.slots import (
    ANSWER,
    REASONING,
    REQUEST,
    RESPONSE,
    RESPONSES,
    SLOT,
    PromptTemplate,
    TurnShape,
    TurnTemplate,
    slot_text,
)
from ftlab.data.rows.turns import Conversation, Turn

_DATE = "26 Jul 2024"  # Llama 3.2's chat template contains the date; with today's, a run would not be reproducible
_END_OF_REASONING = "</think>"
_REASONING_KEYS = ("reasoning_content", "reasoning", "thinking")  # Qwen and DeepSeek; OpenRouter; gpt-oss

Messages = list[dict[str, Any]]


def chat(
    tokenizer: PreTrainedTokenizerBase, system: str | None, turns: Sequence[TurnShape], settings: str = ""
) -> PromptTemplate:
    """Render the tokenizer's own chat template, with prompt and input as the user's message.

    Args:
        tokenizer: the model's tokenizer.
        system: system prompt, or the slot for it; None for no system prompt.
        turns: the shape of each turn.
        settings: JSON of variables of the template.

    Raises:
        DataError: the template rejects the messages, or what it makes of a response cannot be told.
    """
    messages = _system_message(system)
    prompts = []  # conversation up to each response, with the generation prompt
    for turn in turns:
        messages.append({"role": "user", "content": REQUEST})
        prompts.append(_apply(tokenizer, messages, settings, generation_prompt=True))
        messages.append(_assistant_message(turn))
    whole = _apply(tokenizer, messages, settings)
    slots = RESPONSES.findall(whole)
    *parts, closing = RESPONSES.split(whole)
    turn_templates, start = [], 0
    for part, prompt, slot in zip(parts, prompts, slots, strict=False):
        if whole.startswith(prompt) and start <= len(prompt) <= start + len(part) and part.count(REQUEST) == 1:
            turn_templates.append(
                TurnTemplate(whole[start : len(prompt)], whole[len(prompt) : start + len(part)], slot)
            )
        start += len(part) + 1
    if len(parts) != len(turns) or len(turn_templates) != len(turns):
        raise DataError(
            "the chat template does not continue its own generation prompt with the response, so the position of the "
            f"response is unknown ({_difference(prompts, whole)}): use dataset.template=plain, alpaca or alpaca_zh, or "
            "write each answer of a conversation as a row of its own."
        )
    written = [turn.opening.count(REASONING) for turn in turn_templates]
    if any(count > 1 for count in written) or (turns[-1].has_reasoning and not written[-1]):
        raise DataError(
            "the chat template has no place for the reasoning before an answer, which would be lost "
            f"({_shown(whole, 120)}): write it into the content as <think> … </think>, or remove it."
        )
    dropped = any(turn.has_reasoning and not count for turn, count in zip(turns, written, strict=True))
    return PromptTemplate(tuple(turn_templates), closing, dropped)


def chat_text(tokenizer: PreTrainedTokenizerBase, system: str | None, turns: Sequence[Turn], settings: str = "") -> str:
    """Return what the chat template makes of a whole conversation, with its texts stripped of blanks.

    Args:
        tokenizer: the model's tokenizer.
        system: system prompt; None for no system prompt.
        turns: all turns, few-shot examples included.
        settings: JSON of variables of the template.
    """
    messages = _system_message(system)
    for turn in turns:
        messages.append({"role": "user", "content": slot_text(REQUEST, turn, Conversation((turn,)))})
        reasoning = dict.fromkeys(_REASONING_KEYS, turn.reasoning.strip()) if turn.reasoning.strip() else {}
        messages.append({"role": "assistant", "content": turn.response.strip(), **reasoning})
    return _apply(tokenizer, messages, settings)


def tells_reasoning(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Return whether the chat template, or the tokenizer, treats the reasoning in a response unlike the answer."""
    special = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    return _END_OF_REASONING in str(tokenizer.chat_template) or _END_OF_REASONING in special


def _system_message(system: str | None) -> Messages:
    return [{"role": "system", "content": system}] if system else []


def _assistant_message(turn: TurnShape) -> dict[str, Any]:
    """Return an answer with slots; its reasoning is where the rows have it, as templates may look for its tags."""
    if turn.tags is not None:
        before, after = turn.tags
        content = f"{before}{REASONING if turn.has_reasoning else ''}{after}{ANSWER}"
        return {"role": "assistant", "content": content}
    reasoning = dict.fromkeys(_REASONING_KEYS, REASONING) if turn.has_reasoning else {}
    return {"role": "assistant", "content": RESPONSE, **reasoning}


def _apply(
    tokenizer: PreTrainedTokenizerBase, messages: Messages, settings: str, *, generation_prompt: bool = False
) -> str:
    if not tokenizer.chat_template:
        raise DataError("dataset.template=chat needs a tokenizer with a chat template: use plain, alpaca or alpaca_zh.")
    variables = {"date_string": _DATE, **(json.loads(settings) if settings else {})}
    try:
        text = tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=generation_prompt, **variables
        )
    except (jinja2.TemplateError, TypeError, ValueError) as error:
        raise DataError(
            f"the chat template rejects these messages ({reason(error)}): leave dataset.system unset, and remove "
            "system messages from the data."
        ) from None
    return str(text)


def _difference(prompts: Sequence[str], whole: str) -> str:
    """Return what the template writes where it should continue its generation prompt."""
    prompt = next((prompt for prompt in prompts if not whole.startswith(prompt)), prompts[-1])
    return f"after its prompt {_shown(prompt, 60)}, but the conversation is {_shown(whole, 120)}"


def _shown(text: str, length: int) -> str:
    """Return the end of a text with slots, escaped, with an ellipsis in each slot."""
    return repr(SLOT.sub("…", text)[-length:])
