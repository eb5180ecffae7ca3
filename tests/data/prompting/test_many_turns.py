"""Many turns: each answer is learned with what ends it, whatever is written, under every template and cut."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from ftlab.core.errors import DataError
from ftlab.data.instruction import InstructionData
from ftlab.data.loading.batches import Loading
from ftlab.data.prompting.templates import TEMPLATES
from ftlab.data.rows.row import Row
from ftlab.data.rows.turns import conversation_to_json
from tests.data.making import build, dataset, jsonl
from tests.data.rows.test_turns import said
from tests.data.test_instruction import INJECTION, SOMETHING, Tokenizers
from tests.fixtures.checkpoints import tiny
from tests.fixtures.refusals import refused
from tests.fixtures.tasks import INSTRUCTION

OWN = "{% for m in messages %}[{{ m.role }}] {{ m.content }}{{ eos_token if m.role == 'assistant' }}\n{% endfor %}"
LAYOUTS = [*TEMPLATES, OWN, "Q: {{ prompt }}\nA: {{ response }}"]
CHAT = said("system: Be brief.", "user: What is it?", "assistant: A film.", "user: 好看吗？", "assistant: 很好看。")
LENGTHS = st.integers(4, 120)


def data(rows: list[dict[str, str]], **given_: Any) -> InstructionData:
    made = [Row(row, "") for row in rows]
    loading = Loading(micro_batch_size=2, eval_batch_size=2)
    return InstructionData(
        {"train": made, "val": made, "test": made}, **{"max_length": 9999, "loading": loading} | given_
    )


def chat(messages: list[dict[str, str]]) -> dict[str, str]:
    return {"messages": conversation_to_json(messages)}


def encoded(tokenizer: PreTrainedTokenizerBase, row: dict[str, str], **given_: Any) -> tuple[Any, Any] | None:
    """Return ids and labels of a row, None where it is dropped."""
    module = data([row], **given_)
    found = module.encode(tokenizer, module.splits["train"])
    assert len(found.examples) + found.dropped["response truncated"] == 1
    return (found.examples[0].input_ids, found.examples[0].labels) if found.examples else None


def answers(labels: Any) -> list[tuple[int, int]]:
    """Return where each stretch of learned tokens starts and ends."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], labels != -100, [0]]).astype(int)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_the_tokens_are_those_of_the_chat_template(tokenizers: Tokenizers, kind: str) -> None:
    tokenizer = tokenizers[kind]
    whole = tokenizer(str(tokenizer.apply_chat_template(CHAT, tokenize=False)), add_special_tokens=False)["input_ids"]
    found = encoded(tokenizer, chat(CHAT))
    assert found is not None
    ids, labels = found
    assert ids.tolist() == whole[: len(ids)]
    assert tokenizer.decode(whole[len(ids) :]) == "\n"
    num_loss_tokens = [tokenizer.decode(ids[start:end]) for start, end in answers(labels)]
    assert num_loss_tokens == ["A film.<|im_end|>", "很好看。<|im_end|>"]


def test_a_conversation_without_a_system_prompt_gets_that_of_the_data_set(tokenizers: Tokenizers) -> None:
    tokenizer = tokenizers["llama"]
    for messages, expected in ((CHAT, "Be brief."), (CHAT[1:], "Be kind.")):
        found = encoded(tokenizer, chat(messages), system="Be kind.")
        assert found is not None
        assert tokenizer.decode(found[0]).startswith(f"<|im_start|>system\n{expected}<|im_end|>")


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
@pytest.mark.parametrize("template", LAYOUTS)
@given(texts=st.lists(SOMETHING, min_size=4, max_size=4), system=SOMETHING)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_answer_and_its_end_are_learned_whatever_is_written(
    tokenizers: Tokenizers, kind: str, template: str, texts: list[str], system: str
) -> None:
    tokenizer = tokenizers[kind]
    end = "<|im_end|>" if template == "chat" else tokenizer.eos_token
    own = [] if template.startswith("Q") else [f"system: {system}"]

    def row(*texts: str) -> dict[str, str]:
        return chat(
            said(*own, *(f"{role}: {text}" for role, text in zip(("user", "assistant") * 2, texts, strict=True)))
        )

    found, harmless = (
        encoded(tokenizer, row(*texts), template=template),
        encoded(tokenizer, row(*"abcd"), template=template),
    )
    assert found is not None
    assert harmless is not None
    ids, labels = found
    num_loss_tokens = [tokenizer.decode(ids[start:stop]) for start, stop in answers(labels)]
    assert num_loss_tokens == [texts[1].strip() + end, texts[3].strip() + end]
    control = [index for index, token in tokenizer.added_tokens_decoder.items() if token.special]
    assert np.isin(ids, control).sum() == np.isin(harmless[0], control).sum() > 0


def test_an_injected_system_prompt_stays_text(tokenizers: Tokenizers) -> None:
    tokenizer = tokenizers["llama"]
    found = encoded(tokenizer, chat(said(f"system: {INJECTION}", "user: a", "assistant: b")))
    assert found is not None
    assert INJECTION in tokenizer.decode(found[0])
    assert (found[0] == tokenizer.convert_tokens_to_ids("<|im_start|>")).sum() == 3


@pytest.mark.parametrize("template", LAYOUTS)
@given(length=LENGTHS, turns=st.integers(1, 3), words=st.integers(1, 12))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_cut_on_the_right(tokenizers: Tokenizers, template: str, length: int, turns: int, words: int) -> None:
    row = chat(said(*["user: what is it", f"assistant: {'film ' * words}"] * turns))
    whole = encoded(tokenizers["gpt2"], row, template=template)
    assert whole is not None
    stretches = [(start, min(end, length)) for start, end in answers(whole[1]) if start < length]
    found = encoded(tokenizers["gpt2"], row, template=template, max_length=length)
    if not stretches:
        assert found is None
        return
    assert found is not None
    last = stretches[-1][1]  # what asks for an answer that is cut off is left out
    assert found[0].tolist() == whole[0][:last].tolist()
    assert answers(found[1]) == stretches


@pytest.mark.parametrize("template", LAYOUTS)
@given(length=LENGTHS, turns=st.integers(1, 3), words=st.integers(1, 12))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_cut_on_the_left(tokenizers: Tokenizers, template: str, length: int, turns: int, words: int) -> None:
    row = chat(said(*["user: what is it", f"assistant: {'film ' * words}"] * turns))
    whole = encoded(tokenizers["gpt2"], row, template=template)
    assert whole is not None
    gone = max(0, len(whole[0]) - length)
    stretches = [(start - gone, end - gone) for start, end in answers(whole[1]) if start > gone]
    found = encoded(tokenizers["gpt2"], row, template=template, max_length=length, truncation="left")
    if not stretches:
        assert found is None
        return
    assert found is not None
    assert found[0].tolist() == whole[0][gone:].tolist()
    assert answers(found[1]) == stretches  # of an answer whose beginning is gone nothing is learned
    (start, end) = stretches[-1]
    assert found[1][start:end].tolist() == found[0][start:end].tolist()


def test_everything_is_learned_where_that_is_asked_for(tokenizers: Tokenizers) -> None:
    found = encoded(tokenizers["llama"], chat(CHAT), loss_on="all")
    assert found is not None
    assert found[1].tolist() == found[0].tolist()
    cut = encoded(tokenizers["llama"], chat(CHAT), loss_on="all", max_length=6)
    assert cut is not None
    assert len(cut[0]) == 6
    module = data([chat(CHAT)], loss_on="all", max_length=6)
    assert list(module.prompts_with_references(tokenizers["llama"], module.splits["test"])) == [
        None
    ]  # no answer's place is left


def test_an_answer_may_end_without_a_control_token(tokenizers: Tokenizers, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = tokenizers["gpt2"]
    monkeypatch.setattr(
        tokenizer,
        "chat_template",
        "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}",
    )
    found = encoded(tokenizer, chat(CHAT[1:]))
    assert found is not None
    num_loss_tokens = [tokenizer.decode(found[0][start:end]) for start, end in answers(found[1])]
    assert [text.replace("\n", "") for text in num_loss_tokens] == ["A film.<|endoftext|>", "很好看。<|endoftext|>"]


def test_a_question_is_what_was_read_ahead_of_the_last_answer(tokenizers: Tokenizers) -> None:
    tokenizer = tokenizers["llama"]
    module = data([chat(CHAT), {"prompt": "a", "input": "b", "response": "c"}])
    first, second = module.prompts_with_references(tokenizer, module.splits["test"])
    assert first is not None
    assert second is not None
    asking = tokenizer.apply_chat_template(CHAT[:-1], tokenize=False, add_generation_prompt=True)
    assert tokenizer.decode(first.input_ids) == asking
    assert (first.prompt, first.references) == ("好看吗？", ("很好看。",))
    assert (first.stop_id, second.references) == (tokenizer.convert_tokens_to_ids("<|im_end|>"), ("c",))


def test_an_encoder_decoder_writes_one_answer_at_a_time() -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny("t5"))
    module = data([chat(CHAT)], max_length=128)
    module.prepare_encoding(tokenizer, task=INSTRUCTION.for_architecture("encoder-decoder"), decoder_start=0)
    found = module.encode(tokenizer, module.splits["train"])
    assert [tokenizer.decode(example.labels) for example in found.examples] == ["A film.</s>", "很好看。</s>"]
    read = [str(tokenizer.decode(example.input_ids)) for example in found.examples]
    assert read[0].startswith("Be brief.\nWhat is it?")
    assert read[1].startswith(f"{read[0].removesuffix('</s>')}A film.</s>")
    module.loss_on = "all"
    with refused(DataError, "loss_on=all", "decoder"):
        module.encode(tokenizer, module.splits["train"])


def test_conversations_are_shown_solved(tokenizers: Tokenizers) -> None:
    module = data([chat(CHAT[1:]), chat(said("user: Who?", "assistant: She."))], template="plain", max_length=64)
    module.prepare_encoding(tokenizers["llama"], task=replace(INSTRUCTION, shots=1, shot_tokens=60))
    found = module.encode(tokenizers["llama"], module.splits["test"])
    assert found.dropped == {"response truncated": 0}
    shown = tokenizers["llama"].decode(found.examples[1].input_ids)
    assert shown.count("Who?") == (2 if "Who?" in module.demonstrations[0]["messages"] else 1)
    assert "Who?\nShe.<|im_end|>" in shown
    assert len(answers(found.examples[1].labels)) == 1


def test_rows_of_a_file(tmp_path: Path, tokenizers: Tokenizers) -> None:
    rows = [
        {"messages": said(f"user: question {n}", "assistant: yes", "user: sure?", "assistant: no")} for n in range(40)
    ]
    config = dataset("instruction", {"train": jsonl(tmp_path / "a.jsonl", rows)}, columns={"messages": "messages"})
    module = build(config)
    module.tokenize(tokenizers["llama"])
    assert sum(module.rows.values()) == 40
    same = [{"messages": said("user: question", f"assistant: {n}")} for n in range(40)]
    config = dataset("instruction", {"train": jsonl(tmp_path / "b.jsonl", same)}, columns={"messages": "messages"})
    with refused(DataError, "of 40 rows", "test", "dataset.test_fraction"):
        build(config)  # equal questions stay in one split, whatever their answers
