"""Chat templates that look at the words of a row: what is learned is what they make of the whole conversation."""

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerBase

from ftlab.core.errors import DataError
from ftlab.data.prompting.slots import split_reasoning
from ftlab.data.rows.turns import conversation_to_json
from tests.data.prompting.test_many_turns import chat, data, encoded
from tests.data.test_instruction import Tokenizers
from tests.fixtures.refusals import refused

# in the manner of Qwen3: reasoning from a key or from the content, kept after the last question alone, else empty there
REASONING = """
{%- for message in messages -%}
{%- set content = message.content -%}
{%- if message.role == 'assistant' -%}
{%- set reasoning = message.reasoning_content or '' -%}
{%- if not reasoning and '</think>' in content -%}
{%- set reasoning = content.split('</think>')[0].split('<think>')[-1].strip('\\n') -%}
{%- set content = content.split('</think>')[-1].lstrip('\\n') -%}
{%- endif -%}
{%- if loop.last -%}
{{- '<|im_start|>assistant\\n<think>\\n' + reasoning + '\\n</think>\\n\\n' + content + '<|im_end|>\\n' -}}
{%- else -%}{{- '<|im_start|>assistant\\n' + content + '<|im_end|>\\n' -}}{%- endif -%}
{%- else -%}{{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>\\n' -}}{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}
{%- if enable_thinking is defined and enable_thinking is false -%}{{- '<think>\\n\\n</think>\\n\\n' -}}{%- endif -%}
{%- endif -%}
""".replace("\\\\n", "\\n")
WORDS = st.text(st.sampled_from("ab c\n.好"), min_size=1, max_size=12).map(str.strip).filter(bool)
BLANKS = st.sampled_from(["", "\n", "\n\n"])
BLOCKS = st.one_of(
    st.just(""),
    st.builds(lambda a, text, b, c: f"<think>{a}{text}{b}</think>{c}", BLANKS, WORDS | st.just(""), BLANKS, BLANKS),
)


def _with_template(tokenizer: PreTrainedTokenizerBase, template: str) -> PreTrainedTokenizerBase:
    tokenizer = deepcopy(tokenizer)
    tokenizer.chat_template = template
    return tokenizer


def _turn(prompt: str, response: str, **keys: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": prompt}, {"role": "assistant", "content": response, **keys}]


def _learned(tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, Any]], **settings_: Any) -> str:
    example = encoded(tokenizer, chat(messages), **settings_)
    assert example is not None
    ids, labels = example
    return str(tokenizer.decode(ids[labels != -100]))


@given(turns=st.lists(st.tuples(WORDS, BLOCKS, WORDS), min_size=1, max_size=3))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_learned_is_what_the_template_writes(tokenizers: Tokenizers, turns: list[tuple[str, str, str]]) -> None:
    tokenizer = _with_template(tokenizers["llama"], REASONING)
    messages = [message for prompt, block, answer in turns for message in _turn(prompt, f"{block}{answer}")]
    written = str(tokenizer.apply_chat_template(messages, tokenize=False))
    example = encoded(tokenizer, chat(messages))
    assert example is not None
    ids, labels = example
    assert str(tokenizer.decode(ids)) == written.removesuffix("\n")
    expected = [part.split("<|im_end|>")[0] + "<|im_end|>" for part in written.split("<|im_start|>assistant\n")[1:]]
    assert str(tokenizer.decode(ids[labels != -100])) == "".join(expected)
    assert written.count("<think>") == 1


def test_reasoning_of_a_key(tokenizers: Tokenizers) -> None:
    tokenizer = _with_template(tokenizers["llama"], REASONING)
    row = [*_turn("a", "b", reasoning="first"), *_turn("c", "d", reasoning="second")]
    assert _learned(tokenizer, row) == "b<|im_end|><think>\nsecond\n</think>\n\nd<|im_end|>"
    module = data([chat(row)])
    (question,) = module.prompts_with_references(tokenizer, module.splits["test"])
    assert question is not None
    assert question.references == ("second\n</think>\n\nd",)
    assert tokenizer.decode(question.opening_ids) == "<think>\n"
    module.encode(tokenizer, module.splits["train"])
    assert sum("reasoning of earlier turns" in warning for warning in module.warnings) == 1


def test_reasoning_without_a_place_is_refused(tokenizers: Tokenizers) -> None:
    row = _turn("a", "b", reasoning="Hm.")
    with refused(DataError, "reasoning", "<think>"):
        encoded(tokenizers["llama"], chat(row))
    with refused(DataError, "reasoning_content", "dataset.template=chat"):
        encoded(tokenizers["llama"], chat(row), template="alpaca")
    kept = _turn("a", "<think>\nHm.\n</think>\n\nb")  # for a template that leaves it as it is
    assert _learned(tokenizers["llama"], kept) == "<think>\nHm.\n</think>\n\nb<|im_end|>"


ANSWERS_ALONE = "{% for m in messages %}{{ m.content.split('</think>')[-1] }}{{ eos_token }}{% endfor %}"


@pytest.mark.parametrize("template", [None, ANSWERS_ALONE])
def test_a_template_that_changes_words_is_refused_with_the_difference(
    tokenizers: Tokenizers, template: str | None
) -> None:
    tokenizer = _with_template(tokenizers["llama"], REASONING)
    with refused(DataError, "'", "</think>", "dataset.template"):
        encoded(tokenizer, chat(_turn("a", "one </think> two </think> three")), template=template)


def test_variables_of_the_template_are_those_of_the_row(tokenizers: Tokenizers) -> None:
    tokenizer = _with_template(tokenizers["llama"], REASONING)
    row = {"messages": conversation_to_json(_turn("a", "b"), {"enable_thinking": False})}
    example = encoded(tokenizer, row)
    assert example is not None
    assert tokenizer.decode(example[0][example[1] != -100]) == "b<|im_end|>"
    assert "<think>\n\n</think>\n\nb" in tokenizer.decode(example[0])
    with refused(DataError, "enable_thinking", "dataset.template=chat"):
        encoded(tokenizer, row, template="plain")


@pytest.mark.parametrize("loss_on", ["response", "all"])
@pytest.mark.parametrize("learned", [0, 1])
def test_an_answer_that_is_only_read_has_no_loss(tokenizers: Tokenizers, loss_on: str, learned: int) -> None:
    tokenizer = tokenizers["llama"]
    turns = [_turn("one", "BAD"), _turn("two", "GOOD")]
    turns[1 - learned][1]["learned"] = False
    row = chat([*turns[0], *turns[1]])
    example = encoded(tokenizer, row, loss_on=loss_on)
    assert example is not None
    ids, labels = example
    text = tokenizer.decode(ids[labels != -100])
    read, answer = ("GOOD", "BAD") if learned == 0 else ("BAD", "GOOD")
    assert f"{answer}<|im_end|>" in text
    assert read not in text
    assert ("two" in text) == (loss_on == "all")
    assert (ids == np.where(labels == -100, ids, labels)).all()
    module = data([row])
    (question,) = module.prompts_with_references(tokenizer, module.splits["test"])
    assert question is not None
    assert question.references == (answer,)


@pytest.mark.parametrize(
    ("response", "block"),
    [
        ("<think>\na\n</think>\n\nb", ("<think>\n", "a", "\n</think>\n\n", "b")),
        ("a</think>b", ("", "a", "</think>", "b")),
        ("<think>\n\n</think>\n\nb", ("<think>\n\n", "", "</think>\n\n", "b")),
        ("a <think> b </think> c", None),
        ("<think>a</think>b</think>", None),
        ("b", None),
    ],
)
def test_blocks_of_reasoning(response: str, block: tuple[str, ...] | None) -> None:
    assert split_reasoning(response) == block
