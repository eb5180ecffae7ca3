"""Tokenized data on disk: found again, or made again, and never mistaken for other data."""

import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import PreTrainedTokenizerBase

from ftlab.config.losses import LossConfig
from ftlab.core.errors import DataError, UserError
from ftlab.data import base
from ftlab.data.base import DataModule
from ftlab.data.classification import ClassificationData
from ftlab.data.encoding import token_cache
from ftlab.data.encoding.encoded_split import StoredExamples
from tests.data.making import build, dataset, jsonl, one_epoch
from tests.fixtures.refusals import refused

Tokenizers = dict[str, PreTrainedTokenizerBase]

ROWS = {
    "classification": [{"text": f"the film number {n}, " * (1 + n % 5), "label": n % 3} for n in range(150)],
    "instruction": [{"prompt": f"say {n}", "input": "", "response": f"it is {n} " * (1 + n % 7)} for n in range(150)],
    "text": [{"text": f"The market fell on day {n}: déjà vu. 今天"} for n in range(150)],
    "masked_lm": [{"text": f"The market fell on day {n}."} for n in range(150)],
    "multilabel": [
        {"text": f"the film {n}", "labels": [name for name in "abc" if (n + ord(name)) % 4 > 1]} for n in range(150)
    ],
    "regression": [{"text": f"the film {n}", "score": n / 7} for n in range(150)],
    "seq2seq": [{"source": f"say {n} " * (1 + n % 60), "target": f"it is {n} " * (1 + n % 7)} for n in range(150)],
    "token_classification": [
        {"tokens": ["film", f"{n}"] * (1 + n % 60), "tags": ["O", "B-NUM"] * (1 + n % 60)} for n in range(150)
    ],
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FTLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(token_cache, "_WORTH_KEEPING", 1)
    monkeypatch.setattr(base, "_CHUNK_ROWS", 40)  # several portions
    return tmp_path / "cache" / "tokens"


def made(
    task: str, tmp_path: Path, tokenizer: PreTrainedTokenizerBase, *, tokenize: bool = True, **settings: Any
) -> DataModule:
    path = tmp_path / f"{task}.jsonl"
    if not path.exists():
        jsonl(path, ROWS[task])
    data = build(dataset(task, {"train": str(path)}, **settings))
    if tokenize:
        data.tokenize(tokenizer)
    return data


def entries(cache: Path) -> list[Path]:
    return sorted(path for path in cache.iterdir() if path.is_dir())


def of(task: str, tokenizers: Tokenizers) -> PreTrainedTokenizerBase:
    return tokenizers["gpt2" if task in ("instruction", "seq2seq", "text") else "bert"]


@pytest.mark.parametrize("task", ROWS)
def test_what_comes_from_the_cache_is_what_was_tokenized(
    task: str, tmp_path: Path, tokenizers: Tokenizers, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = of(task, tokenizers)
    with monkeypatch.context() as off:
        off.setenv("FTLAB_TOKEN_CACHE_GB", "0")
        off.setattr(base, "_CHUNK_ROWS", 10_000)
        plain = made(task, tmp_path, tokenizer)
    stored = made(task, tmp_path, tokenizer)
    monkeypatch.setattr(type(stored), "encode", None)  # a second run calls neither this
    monkeypatch.setattr(type(stored), "encode_chunks", None)
    found = made(task, tmp_path, tokenizer)
    origins = [data.source_of_tokens for data in (plain, stored, found)]
    assert origins == [None, "stored in the cache", "from the cache"]
    for data in (stored, found):
        data.free_rows()
        assert (data.rows, data.dropped, data.truncated_share) == (plain.rows, plain.dropped, plain.truncated_share)
        assert data.unknown_token_share == plain.unknown_token_share
        assert data.example_ids("test") == plain.example_ids("test")
        for ours, theirs in ((one_epoch(data), one_epoch(plain)), (data.test_dataloader(), plain.test_dataloader())):
            for batch, expected in zip(ours, theirs, strict=True):
                assert batch.keys() == expected.keys()
                assert all(batch[name].tolist() == expected[name].tolist() for name in batch)


def test_what_is_learned_of_the_examples_is_no_part_of_them(tmp_path: Path, tokenizers: Tokenizers) -> None:
    for loss, where in (({}, "stored in the cache"), ({"name": "focal", "gamma": 2.0}, "from the cache")):
        data = made("multilabel", tmp_path, tokenizers["bert"], tokenize=False)
        data.tokenize(tokenizers["bert"], task=data.task.with_loss(LossConfig(**loss)))
        assert data.source_of_tokens == where


def test_what_a_users_code_makes_of_rows_is_not_kept(
    tmp_path: Path, tokenizers: Tokenizers, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may change from run to run, and no hash of ours covers it."""
    monkeypatch.setattr(ClassificationData, "__module__", "somebodys_parts")
    assert made("classification", tmp_path, tokenizers["bert"]).source_of_tokens is None
    assert not cache.exists()


def test_a_second_run_does_not_tokenize(
    tmp_path: Path, tokenizers: Tokenizers, monkeypatch: pytest.MonkeyPatch
) -> None:
    made("text", tmp_path, tokenizers["gpt2"])
    monkeypatch.setattr("ftlab.data.text.tokenize_in_chunks", None)
    assert made("text", tmp_path, tokenizers["gpt2"]).source_of_tokens == "from the cache"


def test_other_settings_tokenizers_and_rows_are_other_entries(
    tmp_path: Path, tokenizers: Tokenizers, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variants: list[dict[str, Any]] = [{}, {"max_length": 32}, {"template": "alpaca"}, {"system": "Be brief."}]
    for number, settings in enumerate(variants, 1):
        assert made("instruction", tmp_path, tokenizers["gpt2"], **settings).source_of_tokens == "stored in the cache"
        assert len(entries(cache)) == number
    made("instruction", tmp_path, tokenizers["llama"])
    made("instruction", tmp_path, tokenizers["gpt2"], split_seed=1)  # other rows in train
    monkeypatch.setattr(token_cache, "ENCODING_VERSION", -1)
    made("instruction", tmp_path, tokenizers["gpt2"])
    assert len(entries(cache)) == len(variants) + 3


def test_what_a_tokenizer_was_last_asked_is_no_part_of_it(tokenizers: Tokenizers) -> None:
    before = token_cache.tokenizer_hash(tokenizers["gpt2"])
    tokenizers["gpt2"]("a b c d", truncation=True, max_length=2)
    assert token_cache.tokenizer_hash(tokenizers["gpt2"]) == before != token_cache.tokenizer_hash(tokenizers["llama"])


def test_models_that_share_a_vocabulary_but_no_segments_share_no_entry(
    tmp_path: Path, tokenizers: Tokenizers, monkeypatch: pytest.MonkeyPatch
) -> None:
    for names in (["input_ids", "token_type_ids", "attention_mask"], ["input_ids", "attention_mask"]):
        monkeypatch.setattr(tokenizers["bert"], "model_input_names", names)
        data = made("token_classification", tmp_path, tokenizers["bert"])
        assert {*names} <= next(iter(data.test_dataloader())).keys()
        assert data.source_of_tokens == "stored in the cache"


@pytest.mark.parametrize("harm", ["cut", "no_meta", "bad_meta", "gone", "garbage", "bit", "no_sums"])
def test_a_broken_entry_is_made_again(harm: str, tmp_path: Path, tokenizers: Tokenizers, cache: Path) -> None:
    expected = made("text", tmp_path, tokenizers["gpt2"]).example_ids("train")
    (entry,) = entries(cache)
    file = entry / "train.arrow"
    if harm == "cut":
        file.write_bytes(file.read_bytes()[:-100])
    elif harm == "no_meta":
        (entry / "meta.json").unlink()
    elif harm == "bad_meta":
        (entry / "meta.json").write_text("[]")
    elif harm == "bit":
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    elif harm == "no_sums":
        (entry / ".checksums.json").unlink()
    elif harm == "gone":
        file.unlink()
    else:
        file.write_bytes(bytes(file.stat().st_size))
    again = made("text", tmp_path, tokenizers["gpt2"])
    assert again.source_of_tokens == "those in the cache were broken and have been made again"
    assert again.example_ids("train") == expected
    assert made("text", tmp_path, tokenizers["gpt2"]).source_of_tokens == "from the cache"


def test_what_was_not_used_for_longest_makes_room(
    tmp_path: Path, tokenizers: Tokenizers, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made("text", tmp_path, tokenizers["gpt2"])
    (oldest,) = entries(cache)
    made("instruction", tmp_path, tokenizers["gpt2"])
    made("text", tmp_path, tokenizers["gpt2"])  # used: now the other is the oldest
    monkeypatch.setenv("FTLAB_TOKEN_CACHE_GB", "1e-4")
    made("classification", tmp_path, tokenizers["bert"])
    assert oldest in entries(cache)
    monkeypatch.setenv("FTLAB_TOKEN_CACHE_GB", "1e-9")
    made("masked_lm", tmp_path, tokenizers["bert"])
    assert len(entries(cache)) == 1


def test_another_run_may_make_room_at_the_same_time(
    tmp_path: Path, tokenizers: Tokenizers, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made("text", tmp_path, tokenizers["gpt2"])
    (oldest,) = entries(cache)

    def gone(path: Path) -> Any:
        if path == oldest:
            shutil.rmtree(oldest)
        return listed(path)

    listed = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", gone)
    assert made("classification", tmp_path, tokenizers["bert"]).source_of_tokens == "stored in the cache"
    assert not oldest.exists()


@pytest.mark.parametrize("bound", ["much", "-1", "inf"])
def test_a_bound_that_is_none(
    bound: str, tmp_path: Path, tokenizers: Tokenizers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FTLAB_TOKEN_CACHE_GB", bound)
    with refused(UserError, f"FTLAB_TOKEN_CACHE_GB={bound}"):
        made("text", tmp_path, tokenizers["gpt2"])


def test_small_data_is_not_kept(
    tmp_path: Path, tokenizers: Tokenizers, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_cache, "_WORTH_KEEPING", 10_000_000)
    assert made("text", tmp_path, tokenizers["gpt2"]).source_of_tokens is None
    assert not cache.exists()


def test_a_split_of_which_nothing_is_left(tmp_path: Path, tokenizers: Tokenizers) -> None:
    for _ in range(2):
        with refused(DataError, "train", "within 4 ", "dataset.max_length"):
            made("instruction", tmp_path, tokenizers["gpt2"], max_length=4)


def test_examples_share_the_files_memory_and_travel_to_other_processes(
    tmp_path: Path, tokenizers: Tokenizers, cache: Path
) -> None:
    made("text", tmp_path, tokenizers["gpt2"])
    stored = StoredExamples(entries(cache)[0] / "train.arrow")
    assert not stored[0].input_ids.flags.owndata
    assert not stored[0].input_ids.flags.writeable
    other = pickle.loads(pickle.dumps(stored))
    assert [example.input_ids.tolist() for example in other] == [example.input_ids.tolist() for example in stored]
    assert len(stored[2:5]) == 3
    with pytest.raises(IndexError):
        stored[len(stored)]
    assert np.concatenate([part.to_numpy() for part in stored.column("length")]).tolist() == [
        len(example.input_ids) for example in stored
    ]
