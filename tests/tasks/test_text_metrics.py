"""The metrics of written text are those of the libraries, and see Chinese."""

import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import DefaultTokenizer

from ftlab.record import Metric
from ftlab.tasks.text_metrics import (
    METRIC_NAMES,
    WordsAndCharacters,
    corpus_metrics,
    score_each_text,
    undefined_metrics,
)

ENGLISH = ["The cat sat on the mat.", "It rains: 3 times a day!"]
CHINESE = ["今天天气很好。", "价格是 12 元。"]


def metrics(written: list[str], expected: list[str]) -> dict[str, Metric]:
    return metrics_of_several(written, [[text] for text in expected])


def metrics_of_several(written: list[str], expected: list[list[str]]) -> dict[str, Metric]:
    return corpus_metrics(written, expected, score_each_text(written, expected))


@given(st.text(alphabet=st.characters(codec="ascii")))
@settings(max_examples=200)
def test_english_is_split_as_rouge_score_does(text: str) -> None:
    assert WordsAndCharacters().tokenize(text) == DefaultTokenizer(use_stemmer=False).tokenize(text)


def test_other_scripts_are_words_or_characters() -> None:
    assert WordsAndCharacters().tokenize("Größe 今天GPT2好 привет") == ["größe", "今", "天", "gpt2", "好", "привет"]


def test_what_is_right_gets_everything() -> None:
    for texts in (ENGLISH, CHINESE):
        found = metrics([f" {text}\n" for text in texts], texts)
        assert tuple(found) == METRIC_NAMES
        assert {name: metric.value for name, metric in found.items()} == pytest.approx(
            {"exact_match": 1, "rouge_1": 1, "rouge_2": 1, "rouge_l": 1, "bleu": 100, "chrf": 100}
        )
        assert {metric.n for metric in found.values()} == {2}


def test_values_are_those_of_the_libraries() -> None:
    written = ["The cat sat there on a mat.", "It rains three times each day!"]
    found = metrics(written, ENGLISH)
    assert found["bleu"].value == pytest.approx(sacrebleu.corpus_bleu(written, [ENGLISH]).score)
    assert found["chrf"].value == pytest.approx(sacrebleu.corpus_chrf(written, [ENGLISH]).score)
    scorer = RougeScorer(["rougeL"])
    each = [scorer.score(a, b)["rougeL"].fmeasure for a, b in zip(ENGLISH, written, strict=True)]
    assert found["rouge_l"].value == pytest.approx(sum(each) / 2)
    assert found["exact_match"].value == 0


def test_of_several_references_the_best_counts() -> None:
    """ROUGE and exact match by hand: of each text the best reference, for each metric on its own."""
    written = ["the cat sat", "a b c d", "x"]
    expected = [["a dog ran", " the  cat sat "], ["a b", "b a d c", "a b c e f g"], ["y"]]
    each = score_each_text(written, expected)
    assert [scores["exact_match"] for scores in each] == [1, 0, 0]
    # "a b c d": all words are those of "b a d c"; of its 3 bigrams, 1 is the one of "a b": P 1/3, R 1, F 1/2; its
    # longest common subsequence with "a b" has 2: P 2/4, R 2/2, F 2/3, and with "a b c e f g" 3: P 3/4, R 3/6, F 3/5
    assert each[1] == pytest.approx({"exact_match": 0, "rouge_1": 1, "rouge_2": 1 / 2, "rouge_l": 2 / 3})
    found = metrics_of_several(written, expected)
    assert found["rouge_l"].value == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert {metric.n for metric in found.values()} == {3}


@pytest.mark.parametrize("texts", [ENGLISH, CHINESE])
def test_corpus_metrics_of_several_references_are_those_of_sacrebleu(texts: list[str]) -> None:
    written = [texts[0][:-3] + texts[1][-4:], texts[1][2:]]
    expected = [[texts[0], texts[1], texts[0][3:]], [texts[1]]]
    streams = [[texts[0], texts[1]], [texts[1], None], [texts[0][3:], None]]
    found = metrics_of_several(written, expected)
    words = "zh" if texts is CHINESE else "13a"
    assert found["bleu"].value == sacrebleu.corpus_bleu(written, streams, tokenize=words).score
    assert found["chrf"].value == sacrebleu.corpus_chrf(written, streams).score
    assert found["bleu"].value > metrics(written, texts)["bleu"].value
    assert "nrefs:var" in str(found["bleu"].signature)
    reversed_rows = metrics_of_several(written[::-1], expected[::-1])
    assert reversed_rows["bleu"].value == found["bleu"].value, "whichever row has the most references"


@pytest.mark.parametrize(("texts", "words"), [(ENGLISH, "13a"), (CHINESE, "zh"), (["きょうはいい天気です"], "char")])
def test_the_signature_says_what_a_word_is(texts: list[str], words: str) -> None:
    assert f"tok:{words}" in str(metrics(texts, texts)["bleu"].signature)


def test_half_a_chinese_sentence_is_half_right() -> None:
    found = metrics(["今天天气"], ["今天天气很好。"])
    assert found["rouge_l"].value == pytest.approx(0.8)
    assert found["bleu"].value > 0


def test_nothing_written() -> None:
    assert metrics([], []) == undefined_metrics("no text was written")
    assert metrics([""], ["a"])["rouge_l"].value == 0
