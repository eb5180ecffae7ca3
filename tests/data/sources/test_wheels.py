from collections import Counter
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerBase

from ftlab.core.errors import DataError
from ftlab.data.sources.wheels import bbc_news, chatterbot, read_bbc_news, read_chatterbot
from tests.data.making import build, dataset
from tests.fixtures.refusals import refused


def test_articles_in_two_encodings(tmp_path: Path) -> None:
    for label, name, raw in (("b", "1.txt", "£5m".encode()), ("a", "2.txt", b"\xa315.8m"), ("a", "1.txt", b"news")):
        (tmp_path / label).mkdir(exist_ok=True)
        (tmp_path / label / name).write_bytes(raw)
    assert [(row.values["label"], row.values["text"], row.where) for row in read_bbc_news(tmp_path)] == [
        ("a", "news", "bbc_news/a/1.txt"),
        ("a", "£15.8m", "bbc_news/a/2.txt"),
        ("b", "£5m", "bbc_news/b/1.txt"),
    ]


def test_dialogues_become_pairs(tmp_path: Path) -> None:
    (tmp_path / "english").mkdir()
    (tmp_path / "english" / "ai.yml").write_text(
        "categories: [AI]\nconversations:\n- - Hello\n  - Hi\n  - How are you?\n- no dialogue\n- - 7\n  - 8\n"
    )
    rows = read_chatterbot(tmp_path, ["english"])
    assert [(row.values["prompt"], row.values["response"], row.values["category"]) for row in rows] == [
        ("Hello", "Hi", "ai"),
        ("Hi", "How are you?", "ai"),
        ("7", "8", "ai"),
    ]
    assert rows[2].where == "chatterbot/english/ai.yml, conversation 3"
    with refused(DataError, "chatterbot", "'englisch'", "mean english?"):
        read_chatterbot(tmp_path, ["englisch"])


@pytest.mark.real
def test_bbc_news() -> None:
    rows = bbc_news()["train"]
    counts = Counter(row.values["label"] for row in rows)
    assert counts == {"sports": 511, "business": 510, "politics": 417, "tech": 401, "entertainment": 386}
    assert "£15.8m signing" in next(row for row in rows if row.where.endswith("sports/199.txt")).values["text"]

    data = build(dataset("classification", {"_target_": "ftlab.data.sources.wheels.bbc_news"}))
    assert data.rows == {"train": 1558, "val": 222, "test": 445}
    assert data.warnings == []  # the 98 articles that are there twice are not in training and test
    texts = Counter(row.values["text"] for split in data.splits.values() for row in split)
    assert sum(count - 1 for count in texts.values()) == 98
    assert data.hash.startswith("38583d9f")  # a change of the default data is a change of every result


@pytest.mark.real
def test_chatterbot(tokenizers: dict[str, PreTrainedTokenizerBase]) -> None:
    assert len(chatterbot()["train"]) == 2306
    assert len(chatterbot(["chinese"])["train"]) == 552
    assert len(chatterbot(["english", "chinese"])["train"]) == 2858
    columns = {"prompt": "prompt", "response": "response"}
    source = {"_target_": "ftlab.data.sources.wheels.chatterbot", "languages": ["thai", "ukrainian", "german"]}
    data = build(dataset("instruction", source, columns=columns, on_bad_rows="skip", max_length=256))
    data.tokenize(tokenizers["llama"])
    assert data.rows["train"] > 600
