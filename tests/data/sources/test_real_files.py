"""Other people's files as they are; skipped where they do not lie beside the checkout."""

import pytest
from transformers import PreTrainedTokenizerBase

from ftlab.core.errors import DataError
from tests.data.making import build, dataset, shared
from tests.fixtures.refusals import refused

Tokenizers = dict[str, PreTrainedTokenizerBase]

pytestmark = pytest.mark.slow  # whole data sets


def test_banking77(tokenizers: Tokenizers) -> None:
    source = {"train": shared("banking77/train.csv"), "test": shared("banking77/test.csv")}
    data = build(dataset("classification", source, columns={"text": "text", "label": "category"}))
    data.tokenize(tokenizers["bert"])
    assert len(data.task.labels) == 77
    assert data.rows["train"] + data.rows["val"] == 10003
    assert data.rows["test"] == 3080
    with refused(DataError, "train.csv:2", "'label'", "category, text"):
        build(dataset("classification", source))


def test_sms_spam_has_no_header_and_open_quotes() -> None:
    data = build(dataset("classification", {"train": shared("sms_spam/sms.tsv"), "names": ["label", "text"]}))
    assert data.task.labels == ("ham", "spam")
    assert sum(data.rows.values()) == 5574


def test_chinese_reviews_with_an_english_vocabulary(tokenizers: Tokenizers) -> None:
    source = {"train": shared("waimai_zh/waimai_10k.csv")}
    data = build(dataset("classification", source, columns={"text": "review", "label": "label"}))
    data.tokenize(tokenizers["bert"])
    assert data.task.labels == ("0", "1")
    assert sum(data.rows.values()) == 11987
    assert data.unknown_token_share is not None
    assert data.unknown_token_share > 0.5
    assert any("unknown" in warning and "tokenizer" in warning for warning in data.warnings)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("template", ["chat", "alpaca_zh"])
def test_alpaca(tokenizers: Tokenizers, language: str, template: str) -> None:
    source = {"train": shared(f"alpaca/alpaca_{language}_demo.json")}
    columns = {"prompt": "instruction", "input": "input", "response": "output"}
    data = build(dataset("instruction", source, columns=columns, template=template), max_length=256)
    data.tokenize(tokenizers["llama"])
    assert data.rows["train"] > 400
    assert data.dropped.get("response truncated", 0) + sum(data.rows.values()) in (999, 1000)


def test_gsm8k(tokenizers: Tokenizers) -> None:
    columns = {"prompt": "question", "response": "answer"}
    data = build(dataset("instruction", {"train": shared("gsm8k/test.jsonl")}, columns=columns), max_length=256)
    data.tokenize(tokenizers["gpt2"])
    assert data.dropped.get("response truncated", 0) + sum(data.rows.values()) == 1319


def test_chinese_instructions_are_cut_on_either_side(tokenizers: Tokenizers) -> None:
    columns = {"prompt": "instruction", "input": "input", "response": "output"}
    source = {"train": shared("alpaca/alpaca_zh_demo.json")}
    for side in ("left", "right"):
        config = dataset("instruction", source, columns=columns, truncation=side, template="{{ prompt }}{{ input }}\n")
        data = build(config, max_length=96)
        data.tokenize(tokenizers["llama"])
        batch = data.probe_batch()
        num_loss_tokens = batch["labels"] != -100
        assert num_loss_tokens.any(1).all()
        assert (batch["labels"][num_loss_tokens] == batch["input_ids"][num_loss_tokens]).all()
        assert data.dropped["response truncated"] > 0


def test_tiny_shakespeare(tokenizers: Tokenizers) -> None:
    data = build(dataset("text", {"train": shared("tinyshakespeare/input.txt")}), max_length=256)
    data.tokenize(tokenizers["gpt2"])
    assert data.rows["train"] > 1000


def test_sentence_pairs() -> None:
    path = shared("stsb_en/stsb-en-dev.csv")
    config = dataset(
        "classification",
        {"train": path, "names": ["a", "b", "score"]},
        columns={"text": "a", "text_pair": "b", "label": "score"},
    )
    data = build(config)
    assert sum(data.rows.values()) == 1500


def test_wnut17_has_tabs_for_blank_lines_and_new_entities_in_test(tokenizers: Tokenizers) -> None:
    files = {"train": "wnut17train.conll", "val": "emerging.dev.conll", "test": "emerging.test.annotated"}
    source = {split: shared(f"wnut17/{name}") for split, name in files.items()}
    data = build(
        dataset("token_classification", {"_target_": "ftlab.data.sources.conll.read", **source}), max_length=128
    )
    data.tokenize(tokenizers["bert"])
    assert data.rows == {"train": 3394, "val": 1009, "test": 1287}
    assert len(data.task.labels) == 13
    assert sum(tag.startswith("B-") for row in data.splits["test"] for tag in row.values["tags"]) == 1079


def test_weibo_marks_how_characters_make_words(tokenizers: Tokenizers) -> None:
    source = {s: shared(f"weibo_ner_zh/weiboNER_2nd_conll.{n}") for s, n in (("train", "train"), ("test", "test"))}
    config = {"_target_": "ftlab.data.sources.conll.read", "cut": "[0-9]$", **source}
    data = build(dataset("token_classification", config), max_length=128)
    assert data.splits["train"][0].values["tokens"][:4] == ["科", "技", "全", "方"]
    assert "B-PER.NAM" in data.task.labels
    assert "B-GPE.NOM" in data.task.labels
    data.tokenize(tokenizers["gpt2"])
    text = tokenizers["gpt2"].decode(data.tokenized_split("train").examples[0].input_ids)
    assert " " not in text


def test_ncbi_disease(tokenizers: Tokenizers) -> None:
    source = {s: shared(f"ncbi_disease/{name}.tsv") for s, name in (("train", "train"), ("test", "test"))}
    data = build(
        dataset("token_classification", {"_target_": "ftlab.data.sources.conll.read", **source}), max_length=128
    )
    assert data.task.labels == ("O", "B-Disease", "I-Disease")
    assert sum(tag == "B-Disease" for row in data.splits["test"] for tag in row.values["tags"]) == 960
