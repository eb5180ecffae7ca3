"""Jobs of two processes give what one process gives, whether each holds the whole model or a part of it."""

import csv
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from transformers import BertConfig, BertModel

from ftlab.core.errors import UserError
from ftlab.record import RunRecord
from ftlab.train.fsdp import meta_copy, shard_model
from tests.fixtures.checkpoints import tiny
from tests.fixtures.fake_ranks import one_of_two
from tests.fixtures.finished_runs import rows_for
from tests.fixtures.refusals import refused
from tests.launch.sweeping import Bench, bench, directory_of
from tests.launch.test_resume import RUN, results

__all__ = ["bench", "one_of_two"]
pytestmark = pytest.mark.xdist_group("bench")  # one server of processes forks the jobs of all that run sweeps

STILL = ("model.dropout=0.0", "optim.warmup=0", "budget.steps=36", "optim.grad_clip=0.1")
FULL = ("method=full", "optim.lr=3e-3")
LORA = ("method=lora", "optim.lr=3e-2", "method.config.lora_dropout=0.0")


def both(
    bench: Bench, sweep: str, settings: tuple[str, ...], *variants: tuple[str, ...], num_loss_tokens: float = 0.65
) -> None:
    """Run two variants of one experiment, which bring the loss below `learned`, and hold them against each other."""
    configs = [bench.config(sweep, *STILL, *settings, *variant) for variant in variants]
    records = bench.run(configs)
    for record in records:
        assert record.status == "completed", record.failure
        assert {"gradients", "frozen_unchanged", "reload"} <= set(record.checks)
        assert {check.status for check in record.checks.values()} == {"passed"}, record.checks
    expected, actual = (values(record) for record in records)
    assert expected["loss"] < num_loss_tokens, "it learned nothing, so there is nothing to compare"
    assert actual == pytest.approx(expected, rel=1e-4)  # ranks round sums otherwise: 2e-5 was seen
    assert records[0].trainable == records[1].trainable
    assert records[0].cost.examples_seen == records[1].cost.examples_seen
    one, other = (pq.read_table(directory_of(config) / "predictions.parquet").to_pylist() for config in configs)
    assert [row["example_id"] for row in one] == [row["example_id"] for row in other]
    assert [row["loss"] for row in one] == pytest.approx([row["loss"] for row in other], rel=1e-4)


def values(record: RunRecord) -> dict[str, float | None]:
    (by_split,) = record.metrics.values()
    return {name: metric.value for name, metric in by_split["test"].items()}


@pytest.mark.slow
@pytest.mark.parametrize(("sweep", "settings"), [("lora", LORA), ("full", FULL)])
def test_sharded_training_is_that_of_one_process(sweep: str, settings: tuple[str, ...], bench: Bench) -> None:
    both(bench, sweep, settings, ("hardware=cpu",), ("hardware=fsdp_cpu",))


@pytest.mark.slow
def test_embeddings_that_are_the_output_layer_too_are_sharded_as_one(bench: Bench) -> None:
    settings = (
        f"model.name={tiny('llama')}",
        "model.dropout=null",
        "dataset=plain_text_files",
        f"dataset.source.train={rows_for('plain_text_files')}",
        *FULL,
    )
    # not one process: the mean of two processes' losses weighs tokens otherwise where one has a shorter example
    both(bench, "tied", settings, ("hardware=ddp_cpu",), ("hardware=fsdp_cpu",), num_loss_tokens=6.0)


@pytest.mark.slow
def test_killed_while_sharded(bench: Bench) -> None:
    settings = (
        *("hardware=fsdp_cpu", "method=full", *RUN, "budget.steps=12", "optim.batch_size=12"),
        "speed.micro_batch_tokens=auto",  # shards are not cut, and refuse a number
    )
    whole, broken = (bench.config(f"fsdp-{sweep}", *settings) for sweep in ("whole", "broken"))
    (expected,) = bench.run([whole])
    record = bench.killing_at(broken, [1, 2])
    assert (expected.status, record.status) == ("completed", "completed"), (expected.failure, record.failure)
    assert len(record.resumed_at) == 2
    assert results(directory_of(broken), record) == results(directory_of(whole), expected)


@pytest.mark.slow
def test_a_quantised_base_trains_alike_in_two_processes_with_gradient_checkpointing(bench: Bench) -> None:
    both(
        bench,
        "quantised",
        (*LORA, "quant=nf4"),
        ("hardware=cpu", "model.gradient_checkpointing=false"),
        ("hardware=ddp_cpu", "model.gradient_checkpointing=true"),
    )
    one, other = (losses(path) for path in (bench.folder / "quantised").glob("*/metrics.csv"))
    assert len(one) == 36
    assert one == pytest.approx(other, rel=1e-4)


def losses(path: Path) -> list[float]:
    with path.open() as stream:
        return [float(row["train/loss"]) for row in csv.DictReader(stream) if row["train/loss"]]


@pytest.mark.usefixtures("one_of_two")
def test_each_process_holds_its_share() -> None:
    model = BertModel(BertConfig(vocab_size=64, hidden_size=32, num_hidden_layers=2, num_attention_heads=4))
    whole = {name: parameter.numel() for name, parameter in model.named_parameters()}
    empty = meta_copy(model)
    shard_model(model, init_device_mesh("cpu", (2,)))
    held = {name: parameter.to_local().numel() for name, parameter in model.named_parameters()}
    assert set(held) == set(whole)
    assert sum(held.values()) == sum(whole.values()) // 2
    assert all(parameter.is_meta for parameter in empty.parameters())
    assert {name: parameter.numel() for name, parameter in empty.named_parameters()} == whole


def test_blocks_that_share_a_parameter_are_refused() -> None:
    layers = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
    layers[1].weight = layers[0].weight
    with refused(UserError, "0.1.weight", "hardware.strategy=ddp"):
        shard_model(nn.Sequential(layers), mesh=None)
