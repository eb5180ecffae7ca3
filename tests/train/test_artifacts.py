"""Artifacts of a run are whole, and proven to load."""

from pathlib import Path
from typing import IO

import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

from ftlab.data.rows.excerpt import Excerpt
from ftlab.methods.base import trainable_names
from ftlab.methods.partial import Full
from ftlab.train.artifacts import check_reload, probe_logits, save_adapter, write_predictions
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


def test_excerpts_stand_next_to_the_predictions(tmp_path: Path) -> None:
    rows = [
        {"index": 1, "loss": 0.0, "text": None},
        {"index": 0, "loss": 0.1, "text": "what was asked", "generated": "c"},
    ]
    excerpts = [Excerpt("今天天气很好。", "a.csv:2", "d"), None]
    path = tmp_path / "predictions.parquet"
    write_predictions(rows, ["a", "b"], path, task="instruction", split="test", excerpts=excerpts)
    assert pq.read_table(path).to_pylist() == [
        {
            **{"task": "instruction", "split": "test", "example_id": "a", "where": "a.csv:2", "text": "what was asked"},
            **{"expected": "d", "loss": 0.1, "generated": "c"},
        },
        {
            **{"task": "instruction", "split": "test", "example_id": "b", "where": None, "text": None},
            **{"expected": None, "loss": 0.0, "generated": None},
        },
    ]
    write_predictions(rows[:1], ["a", "b"], path, task="text", split="test", excerpts=[None, Excerpt("x", "a.csv:3")])
    assert pq.read_table(path).column_names == ["task", "split", "example_id", "where", "text", "loss"]


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
