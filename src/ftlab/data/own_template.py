"""The user's own template, in Jinja: rendered with slots in place of what the data says, in a sandbox."""

import re
from collections.abc import Sequence
from functools import cache, partial

import jinja2
from jinja2 import meta
from jinja2.sandbox import ImmutableSandboxedEnvironment
from transformers import PreTrainedTokenizerBase

from ftlab.data.templates import (
    INPUT,
    PROMPT,
    REQUEST,
    RESPONSE,
    SYSTEM,
    TEMPLATES,
    LayOut,
    Layout,
    Opened,
    default_template,
    repeated,
    start,
)
from ftlab.errors import DataError, did_you_mean

_ENVIRONMENT = ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
_NAMES = ("messages", "system", "prompt", "input", "response", "source", "target", "bos_token", "eos_token")
_ANY = re.compile(f"[{PROMPT}{INPUT}{REQUEST}{SYSTEM}]")


def lay_out(template: str | None, tokenizer: PreTrainedTokenizerBase) -> LayOut:
    """Return what lays out conversations by this template.

    Args:
        template: one of `TEMPLATES`, or Jinja; None: the tokenizer's own choice.
        tokenizer: the model's.
    """
    if template is None or template in TEMPLATES:
        return TEMPLATES[template or default_template(tokenizer)]
    return partial(_own, template)


def check(template: str | None) -> None:
    """Refuse what is no template, without data or model.

    Raises:
        DataError: no such template; or Jinja with a mistake in it, a name that means nothing, or no place for what is
            asked.
    """
    if template is None or template in TEMPLATES:
        return
    if "{" not in template:
        choices = did_you_mean(template, [*TEMPLATES, "FILE.jinja"])
        raise DataError(f"dataset.template={template} is unknown: {choices}.")
    for name in sorted(_names(template)):
        if name not in _NAMES and name != "add_generation_prompt":
            raise DataError(
                f"dataset.template names {name!r}, which means nothing there: {did_you_mean(name, _NAMES)}."
            )
    if not _names(template) & {"messages", "prompt", "source"}:
        raise DataError("dataset.template has no place for what is asked: write {{ prompt }} where it is to stand.")


@cache
def _names(template: str) -> set[str]:
    try:
        return set(meta.find_undeclared_variables(_ENVIRONMENT.parse(template)))
    except jinja2.TemplateSyntaxError as error:
        message = str(error.message).rstrip(".")
        raise DataError(f"dataset.template, line {error.lineno}: this is no Jinja ({message}): mend it.") from None


def _own(template: str, tokenizer: PreTrainedTokenizerBase, system: str | None, turns: Sequence[bool]) -> Layout:
    """Lay out by a template that writes a whole conversation (`messages`), or one turn, which is then repeated."""
    if "messages" in _names(template):
        said = [message for _ in turns for message in (("user", REQUEST), ("assistant", RESPONSE))]
        messages = [
            {"role": role, "content": text} for role, text in [*([("system", system)] if system else []), *said]
        ]
        text = _rendered(template, tokenizer, messages=messages, system=system or "")
        *parts, closing = text.split(RESPONSE)
        if len(parts) != len(turns):
            raise DataError(
                f"dataset.template wrote {len(parts)} of {len(turns)} answers: write every message's content once."
            )
    else:
        written = [
            _rendered(
                template,
                tokenizer,
                system=(system or "") if number == 0 else "",
                **{"prompt": PROMPT, "source": PROMPT, "input": INPUT if with_input else ""},
                **{"response": RESPONSE, "target": RESPONSE},
            ).partition(RESPONSE)
            for number, with_input in enumerate(turns)
        ]
        parts, closing = [before for before, _, _ in written], written[-1][2]
        if RESPONSE in closing:
            raise DataError("dataset.template has more than one place for the response: write {{ response }} once.")
        if closing.strip():  # its own end of an answer
            parts = [parts[0], *(f"{closing}{part}" for part in parts[1:])]
        else:
            parts, closing = [turn.before for turn in repeated(tokenizer, parts).turns], ""
    first = start(tokenizer)
    if first and not parts[0].startswith(first):
        parts[0] = f"{first}{parts[0]}"
    for with_input, part in zip(turns, parts, strict=True):
        places = set(_ANY.findall(part))
        if not places & {PROMPT, REQUEST}:
            raise DataError("dataset.template left out what is asked: write {{ prompt }} where it is to stand.")
        if with_input and not places & {INPUT, REQUEST}:
            raise DataError(
                "dataset.template has no place for the input that some rows have: write {% if input %}{{ input }}"
                "{% endif %}, or set dataset.columns.input=null."
            )
    if system and system not in parts[0]:
        raise DataError("dataset.template has no place for the system prompt: write {{ system }}, or leave it unset.")
    return Layout(tuple(map(Opened, parts)), closing)


def _rendered(template: str, tokenizer: PreTrainedTokenizerBase, **values: object) -> str:
    tokens = {"bos_token": tokenizer.bos_token or "", "eos_token": tokenizer.eos_token or ""}
    try:
        return _ENVIRONMENT.from_string(template).render(add_generation_prompt=False, **tokens, **values)
    except (jinja2.TemplateError, TypeError, ArithmeticError, LookupError) as error:
        raise DataError(f"dataset.template cannot be filled in ({error}): mend it.") from None
