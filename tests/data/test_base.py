from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerBase

from ftlab.core.errors import DataError
from ftlab.data.base import DataModule
from tests.data.making import budget, build, dataset, jsonl, one_epoch, reviews
from tests.fixtures.refusals import refused

Tokenizers = dict[str, PreTrainedTokenizerBase]


@pytest.fixture
def source(tmp_path: Path) -> dict[str, str]:
    return {"train": jsonl(tmp_path / "a.jsonl", reviews(101))}


def _texts(data: DataModule) -> dict[str, list[str]]:
    return {split: [row.values["text"] for row in rows] for split, rows in data.splits.items()}


def test_the_runs_seed_never_moves_a_row(source: dict[str, str]) -> None:
    config = dataset("classification", source)
    limits = budget(train_rows=30, test_rows=10)
    first, second = build(config, seed=0, budget=limits), build(config, seed=1, budget=limits)
    assert _texts(first) == _texts(second)
    assert first.hash == second.hash
    other = build(dataset("classification", source, split_seed=1), budget=limits)
    assert _texts(other)["test"] != _texts(first)["test"]
    assert other.hash != first.hash


def test_hash_and_ids_know_no_tokenizer(source: dict[str, str], tokenizers: Tokenizers) -> None:
    first, second = (build(dataset("classification", source)) for _ in range(2))
    first.tokenize(tokenizers["bert"])
    second.tokenize(tokenizers["gpt2"])
    assert first.hash == second.hash
    assert first.example_ids("test") == second.example_ids("test")


def test_index_points_into_ids(source: dict[str, str], tokenizers: Tokenizers) -> None:
    data = build(dataset("classification", source))
    data.tokenize(tokenizers["gpt2"])
    for split, loader in {"val": data.val_dataloader(), "test": data.test_dataloader()}.items():
        index = torch.cat([batch["index"] for batch in loader]).tolist()
        assert index == list(range(len(data.example_ids(split)))) == list(range(data.rows[split]))
    batch = one_epoch(data)[0]
    decoded = [tokenizers["gpt2"].decode(ids, skip_special_tokens=True) for ids in batch["input_ids"]]
    assert decoded == [data.splits["train"][index].values["text"] for index in batch["index"].tolist()]


def test_every_epoch_has_an_order_of_its_own_which_is_the_seeds(source: dict[str, str], tokenizers: Tokenizers) -> None:
    def order(seed: int) -> list[list[int]]:
        data = build(dataset("classification", source), seed=seed, micro_batch_size=1)
        data.tokenize(tokenizers["bert"])
        data.set_batch_range(batches=3 * 71)
        indices = [batch["index"].item() for batch in data.train_dataloader()]
        return [indices[start : start + 71] for start in (0, 71, 142)]

    assert order(0) == order(0)
    assert all(sorted(epoch) == list(range(71)) for epoch in (*order(0), *order(1)))
    assert len({tuple(epoch) for epoch in order(0)}) == 3
    assert order(0)[0] != order(1)[0]


def test_every_rank_evaluates_every_row(source: dict[str, str], tokenizers: Tokenizers) -> None:
    data = build(dataset("classification", source), rank=1, world_size=2)
    data.tokenize(tokenizers["bert"])
    assert sum(len(batch["index"]) for batch in data.test_dataloader()) == data.rows["test"] == 20


def test_reading_batches_leaves_the_global_generator_alone(source: dict[str, str], tokenizers: Tokenizers) -> None:
    data = build(dataset("classification", source))
    data.tokenize(tokenizers["bert"])
    before = torch.get_rng_state()
    assert all((one_epoch(data), list(data.val_dataloader()), list(data.test_dataloader())))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_is_on_the_tokenizers_side_and_to_the_longest_of_the_batch(
    tmp_path: Path, tokenizers: Tokenizers, side: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"text": f"film {n} " * (1 + n % 4), "label": n % 2} for n in range(60)]
    tokenizer = tokenizers["bert"]
    monkeypatch.setattr(tokenizer, "padding_side", side)
    data = build(dataset("classification", {"train": jsonl(tmp_path / "a.jsonl", rows)}))
    data.tokenize(tokenizer)
    batches = one_epoch(data)
    for batch in batches:
        mask = batch["attention_mask"]
        assert mask.shape == batch["input_ids"].shape
        assert mask.shape[1] == int(mask.sum(1).max())
        assert mask[:, -1 if side == "left" else 0].all()
        assert (batch["input_ids"][mask == 0] == tokenizer.pad_token_id).all()
    assert any((batch["attention_mask"] == 0).any() for batch in batches)


def test_probe_batch_is_always_the_same(source: dict[str, str], tokenizers: Tokenizers) -> None:
    data = build(dataset("classification", source))
    data.tokenize(tokenizers["bert"])
    first, second = data.probe_batch(), data.probe_batch()
    assert first["index"].tolist() == [0, 1, 2, 3]
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_worker_processes_give_the_same_batches(source: dict[str, str], tokenizers: Tokenizers) -> None:
    orders = []
    for workers in (0, 1):
        data = build(dataset("classification", source), num_workers=workers)
        data.tokenize(tokenizers["bert"])
        orders.append([batch["index"].tolist() for batch in one_epoch(data)])
    assert orders[0] == orders[1]


def test_more_tokens_than_the_model_reads(source: dict[str, str], tokenizers: Tokenizers) -> None:
    data = build(dataset("classification", source), max_length=257)
    with refused(DataError, "tiny", "256", "257", "dataset.max_length=256"):
        data.tokenize(tokenizers["bert"], model="tiny")


def test_batches_before_tokenize(source: dict[str, str]) -> None:
    with refused(KeyError, "tokenize"):
        build(dataset("classification", source)).test_dataloader()
