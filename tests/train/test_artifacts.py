"""Artifacts of a run are whole, and proven to load."""

from pathlib import Path
from typing import IO

import pyarrow.parquet as pq
import pytest
import torch
from torch import nn
from transformers import AutoTokenizer

from ftlab.methods.base import trainable_names
from ftlab.methods.partial import Full
from ftlab.train.artifacts import check_reload, input_excerpts, probe_logits, save_adapter, write_predictions
from tests.fixtures.checkpoints import tiny
from tests.fixtures.durable_writes import watch_writes
from tests.training import applied, batch_for, config_for, fresh_base, task_named


def test_predictions_are_in_the_order_of_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"index": 2, "loss": 0.2}, {"index": 0, "loss": 0.0}, {"index": 1, "loss": 0.1}]
    seen = watch_writes(monkeypatch)
    write_predictions(rows, ["a", "b", "c"], tmp_path / "predictions.parquet", task="classification", split="test")
    assert seen == ["file", "predictions.parquet", "folder"], "it reaches the disk before it has its name"
    table = pq.read_table(tmp_path / "predictions.parquet")
    assert table["example_id"].to_pylist() == ["a", "b", "c"]
    assert table["loss"].to_pylist() == [0.0, 0.1, 0.2]
    assert table.column_names == ["task", "split", "example_id", "loss"]
    assert [file.name for file in tmp_path.iterdir()] == ["predictions.parquet"]


@pytest.mark.parametrize("kind", ["bert", "gpt2", "t5"])
def test_texts_are_without_padding_and_special_tokens(kind: str, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny(kind))
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    given = ["good film " * 60, "bad"]
    batch = dict(tokenizer(given, padding=True, return_tensors="pt")) | {"index": torch.tensor([1, 0])}
    texts = input_excerpts(tokenizer, [batch])
    assert texts[0] == "bad"
    assert texts[1].startswith("good film good")
    assert len(texts[1]) == 200
    rows = [{"index": 1, "loss": 0.0}, {"index": 0, "loss": 0.1}]
    path = tmp_path / "predictions.parquet"
    write_predictions(rows, ["a", "b"], path, task="classification", split="test", texts=texts)
    assert pq.read_table(path)["text"].to_pylist() == [texts[0], texts[1]]


def test_a_wrong_file_is_noticed(tmp_path: Path) -> None:
    task = task_named("classification")
    config = config_for("lora", "bert")
    method, model = applied(config, task)
    batch = batch_for(task)
    save_adapter(method, model, tmp_path, trainable_names(model))

    def restore() -> nn.Module:
        return method.restore(fresh_base(config, task, seed=1), task, tmp_path / "adapter")

    expected = probe_logits(method, model, batch)
    assert check_reload(method, restore, batch, expected).status == "passed"
    assert check_reload(method, restore, batch, expected + 0.01).status == "failed"


@pytest.mark.parametrize(
    ("trained", "loaded", "status"),
    [
        ([0.5, 0.0], [0.5, 0.00005], "passed"),
        ([0.5, 0.0], [0.5, 0.0005], "failed"),  # no logit is above 1: the difference counts as it is
        ([1000.0, 0.0], [1000.0, 0.05], "passed"),  # rounding grows with the logits
        ([1000.0, 0.0], [1000.0, 0.5], "failed"),
        ([0.5, 0.0], [0.5, float("nan")], "failed"),
    ],
)
def test_differences_after_reloading_are_relative_to_large_logits(
    trained: list[float], loaded: list[float], status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ftlab.train.artifacts.probe_logits", lambda *_: torch.tensor(loaded))
    assert check_reload(Full(), nn.Module, {}, torch.tensor(trained)).status == status


def test_a_file_that_cannot_be_written_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "predictions.parquet"
    write_predictions([{"index": 0, "loss": 0.5}], ["a"], path, task="text", split="test")
    before = path.read_bytes()

    def fill_the_disk(table: object, stream: IO[bytes]) -> None:
        stream.write(b"PAR1")
        raise OSError("no space left")

    monkeypatch.setattr(pq, "write_table", fill_the_disk)
    with pytest.raises(OSError, match="no space"):
        write_predictions([{"index": 0, "loss": 0.1}], ["a"], path, task="text", split="test")
    assert path.read_bytes() == before


def test_a_probe_leaves_the_model_as_it_was() -> None:
    task = task_named("classification")
    method, model = applied(config_for("lora", "bert"), task)
    model.train()
    first, second = (probe_logits(method, model, batch_for(task)) for _ in range(2))
    assert torch.equal(first, second)  # no dropout
    assert model.training
