"""Words to tokens and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import ByT5Tokenizer, PreTrainedTokenizerBase

from ftlab.data.encoding.words import WordTokenizer, join_words, split_words, word_offsets

Tokenizers = dict[str, PreTrainedTokenizerBase]

WORDS = ["The", "market", "fell", ",", "didn't", "it", "?", "Zürich", "#winning"]


@pytest.mark.parametrize("kind", ["bert", "gpt2", "llama"])
def test_a_sentence_has_the_tokens_that_its_text_has(tokenizers: Tokenizers, kind: str) -> None:
    (found,) = WordTokenizer(tokenizers[kind]).encode([WORDS], 100)
    assert found.ids == tokenizers[kind](" ".join(WORDS))["input_ids"]
    assert not found.truncated


@pytest.mark.parametrize("kind", ["bert", "gpt2", "llama"])
def test_each_word_begins_at_its_place(tokenizers: Tokenizers, kind: str) -> None:
    tokenizer = tokenizers[kind]
    (found,) = WordTokenizer(tokenizer).encode([WORDS], 100)
    ends = [*found.word_starts[1:], len(found.ids) - len(WordTokenizer(tokenizer).suffix)]
    texts = [
        tokenizer.decode(found.ids[a:b]).strip().replace(" ' ", "'")
        for a, b in zip(found.word_starts, ends, strict=True)
    ]
    wanted = [tokenizer.decode(tokenizer(w, add_special_tokens=False)["input_ids"]).replace(" ' ", "'") for w in WORDS]
    assert texts == wanted


def test_places_are_those_of_the_tokenizer_itself(tokenizers: Tokenizers) -> None:
    sentences = [WORDS, ["The", "\u3000", "team", "\x92", "won"], ["x"] * 40]
    batch = tokenizers["bert"](sentences, is_split_into_words=True, truncation=True, max_length=16)
    for row, found in enumerate(WordTokenizer(tokenizers["bert"]).encode(sentences, 16)):
        owners = batch.word_ids(row)
        assert found.ids == batch["input_ids"][row]
        assert found.word_starts == [
            owners.index(word) if word in owners else -1 for word, _ in enumerate(sentences[row])
        ]
    assert found.truncated


def test_a_tokenizer_in_python_will_do() -> None:
    tokenizer = ByT5Tokenizer()  # a token for each byte
    words = WordTokenizer(tokenizer)
    (found,) = words.encode([["in", "Zürich", "!"]], 100)
    assert found.ids == tokenizer("in Zürich !")["input_ids"]
    assert found.word_starts == [0, 2, 10]


def test_characters_of_chinese_have_no_space_between(tokenizers: Tokenizers) -> None:
    tokenizer = tokenizers["gpt2"]
    (found,) = WordTokenizer(tokenizer).encode([["今", "天", "in", "Berlin", "好", "。"]], 100)
    assert tokenizer.decode(found.ids) == "今天 in Berlin 好。"


def test_a_word_named_like_a_control_token_is_text(tokenizers: Tokenizers) -> None:
    (found,) = WordTokenizer(tokenizers["gpt2"]).encode([["say", "<|endoftext|>"]], 100)
    assert tokenizers["gpt2"].eos_token_id not in found.ids


@given(sentence=st.lists(st.text(max_size=6), max_size=12), most=st.integers(4, 20))
def test_places_are_in_order_and_within(tokenizers: Tokenizers, sentence: list[str], most: int) -> None:
    for kind in ("bert", "gpt2", "llama"):
        words = WordTokenizer(tokenizers[kind])
        (found,) = words.encode([sentence], most)
        places = [place for place in found.word_starts if place >= 0]
        assert len(found.word_starts) == len(sentence)
        assert len(found.ids) <= most
        assert places == sorted(set(places))
        assert all(len(words.prefix) <= place < len(found.ids) - len(words.suffix) for place in places)
        (whole,) = words.encode([sentence], 1000)
        assert found.truncated == (len(whole.ids) > most)
        assert found.word_starts == [p if p < most - len(words.suffix) else -1 for p in whole.word_starts]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Berlin, and (Paris).", ["Berlin", ",", "and", "(", "Paris", ")", "."]),
        ("don't e-mail 3.5", ["don't", "e-mail", "3.5"]),
        ("我在Berlin。", ["我", "在", "Berlin", "。"]),
        ("  ", []),
        ("...", [".", ".", "."]),
    ],
)
def test_words_of_a_text(text: str, words: list[str]) -> None:
    assert split_words(text) == words


@given(st.text())
def test_words_are_where_they_are_said_to_be(text: str) -> None:
    words = split_words(text)
    assert [text[start:end] for start, end in word_offsets(text, words)] == words
    assert "".join(words) == "".join(text.split())


def test_words_become_running_text() -> None:
    assert join_words(["我", "们", "在", "New", "York", "，", "很", "好", "!"]) == "我们在 New York ，很好 !"
    assert join_words([]) == ""
