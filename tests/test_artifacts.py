"""What a run leaves behind is whole, and proven to load."""

from pathlib import Path

import pyarrow.parquet as pq
import torch
from torch import nn

from ftlab.artifacts import check_reload, probe, save_adapter, write_predictions
from ftlab.methods.base import trainable_names
from tests.training import applied, batch_for, config_for, fresh_base, task_named


def test_predictions_are_in_the_order_of_the_data(tmp_path: Path) -> None:
    rows = [{"index": 2, "loss": 0.2}, {"index": 0, "loss": 0.0}, {"index": 1, "loss": 0.1}]
    path = write_predictions(rows, ["a", "b", "c"], tmp_path, task="classification", split="test")
    table = pq.read_table(path)
    assert table["example_id"].to_pylist() == ["a", "b", "c"]
    assert table["loss"].to_pylist() == [0.0, 0.1, 0.2]
    assert table.column_names == ["task", "split", "example_id", "loss"]
    assert [file.name for file in tmp_path.iterdir()] == ["predictions.parquet"]


def test_a_wrong_file_is_noticed(tmp_path: Path) -> None:
    task = task_named("classification")
    config = config_for("lora", "bert", tmp_path)
    method, model = applied(config, task)
    batch = batch_for(task)
    save_adapter(method, model, tmp_path, trainable_names(model))

    def restore() -> nn.Module:
        return method.restore(fresh_base(config, task, seed=1), task, tmp_path / "adapter")

    expected = probe(method, model, batch)
    assert check_reload(method, restore, batch, expected).status == "passed"
    assert check_reload(method, restore, batch, expected + 0.01).status == "failed"


def test_a_probe_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    task = task_named("classification")
    method, model = applied(config_for("lora", "bert", tmp_path), task)
    model.train()
    first, second = (probe(method, model, batch_for(task)) for _ in range(2))
    assert torch.equal(first, second)  # no dropout
    assert model.training
