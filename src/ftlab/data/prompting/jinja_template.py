"""Prompt templates of the user in Jinja, rendered in a sandbox with slots in place of the data."""

import re
from collections.abc import Sequence
from functools import cache, partial

import jinja2
from jinja2 import meta
from jinja2.sandbox import ImmutableSandboxedEnvironment
from transformers import PreTrainedTokenizerBase

from ftlab.core.errors import DataError, clause, did_you_mean, reason
from ftlab.data.prompting.templates import (
    INPUT,
    PROMPT,
    REQUEST,
    RESPONSE,
    SYSTEM,
    TEMPLATES,
    PromptTemplate,
    RenderTemplate,
    TurnTemplate,
    bos_text,
    default_template,
    repeat_turns,
)

_ENVIRONMENT = ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
_VARIABLES = ("messages", "system", "prompt", "input", "response", "source", "target", "bos_token", "eos_token")
_PROMPT_SLOTS = re.compile(f"[{PROMPT}{INPUT}{REQUEST}{SYSTEM}]")


def template_renderer(template: str | None, tokenizer: PreTrainedTokenizerBase) -> RenderTemplate:
    """Return the function that renders conversations with this template.

    Args:
        template: a name in `TEMPLATES`, or Jinja; None for `default_template`.
        tokenizer: the model's tokenizer.
    """
    if template is None or template in TEMPLATES:
        return TEMPLATES[template or default_template(tokenizer)]
    return partial(_render_jinja, template)


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
    template: str, tokenizer: PreTrainedTokenizerBase, system: str | None, turns: Sequence[bool]
) -> PromptTemplate:
    """Render a template of a whole conversation (`messages`), or of one turn, which is then repeated."""
    if "messages" in _variables(template):
        roles = [("system", system)] if system else []
        roles += [message for _ in turns for message in (("user", REQUEST), ("assistant", RESPONSE))]
        messages = [{"role": role, "content": content} for role, content in roles]
        text = _render(template, tokenizer, messages=messages, system=system or "")
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
                **{"prompt": PROMPT, "source": PROMPT, "input": INPUT if with_input else ""},
                **{"response": RESPONSE, "target": RESPONSE},
            ).partition(RESPONSE)
            for number, with_input in enumerate(turns)
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
    for with_input, part in zip(turns, parts, strict=True):
        slots = set(_PROMPT_SLOTS.findall(part))
        if not slots & {PROMPT, REQUEST}:
            raise DataError("dataset.template left the prompt out: write {{ prompt }} where the prompt belongs.")
        if with_input and not slots & {INPUT, REQUEST}:
            raise DataError(
                "dataset.template has no place for the input that some rows have: write {% if input %}{{ input }}"
                "{% endif %}, or set dataset.columns.input=null."
            )
    if system and system not in parts[0]:
        raise DataError("dataset.template has no place for the system prompt: write {{ system }}, or leave it unset.")
    return PromptTemplate(tuple(map(TurnTemplate, parts)), closing)


def _render(template: str, tokenizer: PreTrainedTokenizerBase, **values: object) -> str:
    tokens = {"bos_token": tokenizer.bos_token or "", "eos_token": tokenizer.eos_token or ""}
    try:
        return _ENVIRONMENT.from_string(template).render(add_generation_prompt=False, **tokens, **values)
    except (jinja2.TemplateError, TypeError, ArithmeticError, LookupError) as error:
        raise DataError(f"dataset.template cannot be rendered ({reason(error)}): correct it.") from None
