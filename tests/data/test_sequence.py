"""Texts with labels: control tokens in a text are ordinary text, and long texts lose what the setting says."""

from itertools import repeat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerBase
from transformers.models.bert.tokenization_bert_legacy import BertTokenizerLegacy

from ftlab.core.errors import DataError
from ftlab.data.encoding.tokens import control_tokens, plain_ids
from ftlab.data.rows.row import Row
from ftlab.data.sequence import encode_texts
from tests.data.making import build, dataset, jsonl, reviews
from tests.data.test_instruction import Tokenizers
from tests.fixtures.checkpoints import tiny
from tests.fixtures.refusals import refused

KINDS = ("bert", "gpt2", "llama", "t5")
VOCABULARY = "[PAD] [UNK] [CLS] [SEP] [MASK] good bad [ ] sep mask cls pad unk tumor"


class _Tokenizers(dict[str, PreTrainedTokenizerBase]):
    """Tokenizers by name; hypothesis shows arguments, and some of these are long."""

    def __repr__(self) -> str:
        return "tokenizers"


@pytest.fixture(scope="module")
def all_tokenizers(tokenizers: Tokenizers, tmp_path_factory: pytest.TempPathFactory) -> Tokenizers:
    path = tmp_path_factory.mktemp("legacy") / "vocab.txt"
    path.write_text("\n".join(VOCABULARY.split()), encoding="utf-8")
    legacy = BertTokenizerLegacy(str(path))
    legacy.add_tokens(["glio-blastoma"])
    return _Tokenizers({**tokenizers, "t5": AutoTokenizer.from_pretrained(tiny("t5")), "legacy": legacy})


def _ids(tokenizer: PreTrainedTokenizerBase, *texts: str, **given_: Any) -> list[int]:
    row = Row(dict(zip(("text", "text_pair"), texts, strict=False)), "")
    length = given_.pop("max_length", 64)
    return encode_texts(tokenizer, [row], repeat(0), length, **given_).examples[0].input_ids.tolist()


@pytest.mark.parametrize("kind", [*KINDS, "legacy"])
@pytest.mark.parametrize("paired", [False, True])
def test_control_tokens_in_a_text_are_text(all_tokenizers: Tokenizers, kind: str, paired: bool) -> None:
    tokenizer = all_tokenizers[kind]
    special = {*tokenizer.all_special_ids} - {tokenizer.unk_token_id}
    names = [name for name in control_tokens(tokenizer) if name != tokenizer.unk_token]
    assert names or kind == "gpt2"

    def count(text: str) -> int:
        return sum(index in special for index in _ids(tokenizer, *[text] * (1 + paired)))

    for name in [*names, *control_tokens(tokenizer)[:1]]:
        assert count(f"good {name} bad{name}") == count("good bad")


@pytest.mark.parametrize("kind", [*KINDS, "legacy"])
@pytest.mark.parametrize("text", ["good bad", "good  bad 好", "<filler 3> good", "a glio-blastoma", ""])
def test_other_texts_have_the_tokens_that_the_tokenizer_gives(all_tokenizers: Tokenizers, kind: str, text: str) -> None:
    tokenizer = all_tokenizers[kind]
    assert _ids(tokenizer, text) == tokenizer(text)["input_ids"]
    assert _ids(tokenizer, text, "bad") == tokenizer(text, "bad")["input_ids"]


@pytest.mark.parametrize("kind", [*KINDS, "legacy"])
@pytest.mark.parametrize("side", ["left", "middle"])
@given(words=st.lists(st.sampled_from(["good", "bad"]), min_size=1, max_size=40), pair=st.integers(0, 30))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_end_of_a_long_text_stays(
    all_tokenizers: Tokenizers, kind: str, side: Any, words: list[str], pair: int
) -> None:
    tokenizer, max_length = all_tokenizers[kind], 16
    texts = [" ".join(words), *([" ".join(["good"] * pair)] if pair else [])]
    whole, cut = tokenizer(*texts)["input_ids"], _ids(tokenizer, *texts, truncation=side, max_length=max_length)
    assert len(cut) == min(len(whole), max_length)
    if len(whole) <= max_length:
        assert cut == whole
        return
    pieces = [plain_ids(tokenizer, [text])[0] for text in texts]
    special = len(whole) - sum(map(len, pieces))
    first = pieces[0]
    kept_first = len(first)
    if pair:
        kept_second = min(len(pieces[1]), max(max_length - special - len(first), (max_length - special) // 2))
        kept_first = min(len(first), max_length - special - kept_second)
    else:
        kept_first = max_length - special
    head = round(kept_first * 128 / 510) if side == "middle" else 0
    expected = [*first[:head], *first[len(first) - (kept_first - head) :]]
    start = next(position for position in range(len(cut)) if cut[position : position + len(expected)] == expected)
    assert start <= special


def test_the_setting_reaches_the_examples(tmp_path: Path, tokenizers: Tokenizers) -> None:
    rows = [
        {"text": f"{row['text']} good {row['label']} {n}", "label": row["label"]} for n, row in enumerate(reviews(40))
    ]
    for kind, label in (("classification", "label"), ("multilabel", "labels"), ("regression", "score")):
        values = [{"text": row["text"], label: [row["label"]] if label == "labels" else row["label"]} for row in rows]
        if label == "score":
            values = [{"text": row["text"], label: len(row["label"]) + 0.5} for row in rows]
        source = {"train": jsonl(tmp_path / f"{kind}.jsonl", values)}
        ends = set()
        for truncation in ("right", "left", "middle"):
            data = build(dataset(kind, source, truncation=truncation, max_length=5))
            data.tokenize(tokenizers["bert"])
            assert data.truncated_share == 1.0
            ends.add(tuple(data.examples("train")[0].input_ids.tolist()))
        assert len(ends) == 3


def test_a_side_that_a_kind_has_not_is_refused(tmp_path: Path) -> None:
    pairs = [{"prompt": f"{n}", "input": "", "response": "x"} for n in range(40)]
    with refused(DataError, "dataset.truncation=middle", "instruction"):
        build(dataset("instruction", {"train": jsonl(tmp_path / "a.jsonl", pairs)}, truncation="middle"))
    with refused(DataError, "dataset.truncation", "text"):
        build(dataset("text", {"train": jsonl(tmp_path / "b.jsonl", reviews(40))}, truncation="left"))
