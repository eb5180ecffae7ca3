"""Prompt templates of the user in Jinja, rendered in a sandbox with slots in place of the data."""

import re
from collections.abc import Sequence
from functools import cache, partial

import jinja2
from jinja2 import meta
from jinja2.sandbox import ImmutableSandboxedEnvironment
from transformers import PreTrainedTokenizerBase

from ftlab.core.errors import DataError, clause, did_you_mean, reason
from ftlab.data.prompting.chat_template import chat, chat_text
from ftlab.data.prompting.slots import (
    INPUT,
    PROMPT,
    REQUEST,
    RESPONSE,
    SYSTEM,
    PromptTemplate,
    RenderTemplate,
    TurnShape,
    TurnTemplate,
    slot_text,
)
from ftlab.data.prompting.templates import TEMPLATES, bos_text, default_template, repeat_turns
from ftlab.data.rows.turns import Conversation, Turn

_ENVIRONMENT = ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
_VARIABLES = ("messages", "system", "prompt", "input", "response", "source", "target", "bos_token", "eos_token")
_PROMPT_SLOTS = re.compile(f"[{PROMPT}{INPUT}{REQUEST}{SYSTEM}]")


def is_chat(template: str | None, tokenizer: PreTrainedTokenizerBase) -> bool:
    """Return whether this is the model's own chat template."""
    return (template or default_template(tokenizer)) == "chat"


def template_renderer(template: str | None, tokenizer: PreTrainedTokenizerBase, settings: str = "") -> RenderTemplate:
    """Return the function that renders conversations with this template.

    Args:
        template: a name in `TEMPLATES`, or Jinja; None for `default_template`.
        tokenizer: the model's tokenizer.
        settings: JSON of variables of the chat template.

    Raises:
        DataError: there are such variables, and the template is another one.
    """
    if is_chat(template, tokenizer):
        return partial(chat, settings=settings)
    if settings:
        raise DataError(
            f"chat_template_kwargs ({settings[:80]}) are for the model's own chat template: set dataset.template=chat, "
            "or remove that column."
        )
    if template is None or template in TEMPLATES:
        return partial(_without_reasoning, TEMPLATES[template or default_template(tokenizer)])
    return partial(_without_reasoning, partial(_render_jinja, template))


def whole_text(
    template: str | None,
    tokenizer: PreTrainedTokenizerBase,
    system: str | None,
    turns: Sequence[Turn],
    settings: str = "",
) -> str | None:
    """Return what a template that sees the words of a conversation makes of it; None: this one sees slots alone.

    Args:
        template: see `template_renderer`.
        tokenizer: the model's tokenizer.
        system: system prompt; None for no system prompt.
        turns: all turns, few-shot examples included.
        settings: JSON of variables of the chat template.
    """
    if is_chat(template, tokenizer):
        return chat_text(tokenizer, system, turns, settings)
    if template is None or template in TEMPLATES or "messages" not in _variables(template):
        return None
    requests = [slot_text(REQUEST, turn, Conversation((turn,))) for turn in turns]
    pairs = [(request, turn.response.strip()) for request, turn in zip(requests, turns, strict=True)]
    text, bos = _render_messages(template, tokenizer, system, pairs), bos_text(tokenizer)
    return text if text.startswith(bos) else f"{bos}{text}"


def check_template(template: str | None) -> None:
    """Refuse an invalid template; needs neither data nor model.

    Raises:
        DataError: no template has this name; or the Jinja has a syntax error, an unknown variable or no place for the
            prompt.
    """
    if template is None or template in TEMPLATES:
        return
    if "{" not in template:
        choices = did_you_mean(template, [*TEMPLATES, "FILE.jinja"])
        raise DataError(f"dataset.template={template} is unknown: {choices}.")
    for name in sorted(_variables(template)):
        if name not in _VARIABLES and name != "add_generation_prompt":
            raise DataError(
                f"dataset.template uses {name!r}, which is no variable of a template: {did_you_mean(name, _VARIABLES)}."
            )
    if not _variables(template) & {"messages", "prompt", "source"}:
        raise DataError("dataset.template has no place for the prompt: write {{ prompt }} where the prompt belongs.")


@cache
def _variables(template: str) -> set[str]:
    try:
        return set(meta.find_undeclared_variables(_ENVIRONMENT.parse(template)))
    except jinja2.TemplateSyntaxError as error:
        problem = clause(error.message or "") or "its syntax"
        raise DataError(f"dataset.template, line {error.lineno}: no valid Jinja ({problem}): correct it.") from None


def _render_jinja(
    template: str, tokenizer: PreTrainedTokenizerBase, system: str | None, turns: Sequence[TurnShape]
) -> PromptTemplate:
    """Render a template of a whole conversation (`messages`), or of one turn, which is then repeated."""
    if "messages" in _variables(template):
        text = _render_messages(template, tokenizer, system, [(REQUEST, RESPONSE)] * len(turns))
        *parts, closing = text.split(RESPONSE)
        if len(parts) != len(turns):
            raise DataError(
                f"dataset.template rendered {len(parts)} of {len(turns)} responses: write each message's content once."
            )
    else:
        rendered_turns = [
            _render(
                template,
                tokenizer,
                system=(system or "") if number == 0 else "",
                **{"prompt": PROMPT, "source": PROMPT, "input": INPUT if turn.has_input else ""},
                **{"response": RESPONSE, "target": RESPONSE},
            ).partition(RESPONSE)
            for number, turn in enumerate(turns)
        ]
        parts, closing = [before for before, _, _ in rendered_turns], rendered_turns[-1][2]
        if RESPONSE in closing:
            raise DataError("dataset.template has more than one place for the response: write {{ response }} once.")
        if closing.strip():  # the template has its own end of a response
            parts = [parts[0], *(f"{closing}{part}" for part in parts[1:])]
        else:
            parts, closing = [turn.before for turn in repeat_turns(tokenizer, parts).turns], ""
    bos = bos_text(tokenizer)
    if bos and not parts[0].startswith(bos):
        parts[0] = f"{bos}{parts[0]}"
    for turn, part in zip(turns, parts, strict=True):
        slots = set(_PROMPT_SLOTS.findall(part))
        if not slots & {PROMPT, REQUEST}:
            raise DataError("dataset.template left the prompt out: write {{ prompt }} where the prompt belongs.")
        if turn.has_input and not slots & {INPUT, REQUEST}:
            raise DataError(
                "dataset.template has no place for the input that some rows have: write {% if input %}{{ input }}"
                "{% endif %}, or set dataset.columns.input=null."
            )
    if system and system not in parts[0]:
        raise DataError("dataset.template has no place for the system prompt: write {{ system }}, or leave it unset.")
    return PromptTemplate(tuple(map(TurnTemplate, parts)), closing)


def _render_messages(
    template: str, tokenizer: PreTrainedTokenizerBase, system: str | None, pairs: Sequence[tuple[str, str]]
) -> str:
    """Render a whole conversation of pairs of prompt and response."""
    roles = [("system", system)] if system else []
    roles += [message for prompt, response in pairs for message in (("user", prompt), ("assistant", response))]
    messages = [{"role": role, "content": content} for role, content in roles]
    return _render(template, tokenizer, messages=messages, system=system or "")


def _without_reasoning(
    render: RenderTemplate, tokenizer: PreTrainedTokenizerBase, system: str | None, turns: Sequence[TurnShape]
) -> PromptTemplate:
    """Render turns without reasoning of their own.

    Raises:
        DataError: a turn has reasoning, for which only chat templates have a place.
    """
    if any(turn.has_reasoning for turn in turns):
        raise DataError(
            "only a chat template has a place for reasoning in a key of its own (reasoning_content): set "
            "dataset.template=chat, write it into the content as <think> … </think>, or remove it."
        )
    return render(tokenizer, system, turns)


@cache
def _compiled(template: str) -> jinja2.Template:
    return _ENVIRONMENT.from_string(template)


def _render(template: str, tokenizer: PreTrainedTokenizerBase, **values: object) -> str:
    tokens = {"bos_token": tokenizer.bos_token or "", "eos_token": tokenizer.eos_token or ""}
    try:
        return _compiled(template).render(add_generation_prompt=False, **tokens, **values)
    except (jinja2.TemplateError, TypeError, ArithmeticError, LookupError) as error:
        raise DataError(f"dataset.template cannot be rendered ({reason(error)}): correct it.") from None
