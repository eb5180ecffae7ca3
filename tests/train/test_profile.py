"""Plan of a run from a few of its steps, which leave the run itself alone."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ftlab.core.errors import UserError
from ftlab.data.loading.micro_batch import MicroBatchSplitter
from ftlab.data.loading.sampler import BatchSampler
from ftlab.record import RunRecord
from ftlab.train.profile import saved_activation_bytes, select_probe_steps
from ftlab.train.run import run
from tests.fixtures.compose import composed
from tests.fixtures.finished_runs import settings_for
from tests.fixtures.refusals import refused


def planned(directory: Path, *overrides: str) -> RunRecord:
    config = composed(*settings_for("bert", "text_files"), "budget.max_length=32", "plan=true", *overrides)
    return run(config, directory, [])


@pytest.mark.parametrize("method", ["gradual", pytest.param("full", marks=pytest.mark.slow)])
def test_the_parts_are_those_of_the_method(method: str, tmp_path: Path) -> None:
    record = planned(tmp_path, f"method={method}")
    has_its_parts(record, tmp_path)


def has_its_parts(record: RunRecord, directory: Path) -> None:
    found = record.predicted
    assert record.status == "completed"
    assert record.metrics == {}
    assert record.cost is None
    assert found.trainable == record.parameters.trainable
    memory = found.memory_bytes
    assert memory.gradients == 4 * found.trainable
    assert 8 * found.trainable <= memory.optimizer <= 8 * found.trainable + 1000  # two moments, and counts of steps
    assert memory.weights >= 4 * found.total
    assert memory.activations > 16 * 32 * 4 * 2  # at least a vector for each of 16 examples and each block
    assert memory.peak >= memory.baseline + memory.weights  # in this process, which reuses what others have let go
    parts = (memory.weights, memory.gradients, memory.optimizer, memory.activations, memory.baseline)
    assert memory.workspace == memory.peak - sum(parts)
    assert (found.optimizer_steps, found.probe_steps, found.micro_batch_size) == (4, 10, 16)
    assert found.train_s > 0
    assert not (directory / "adapter").exists()
    assert not (directory / "predictions.parquet").exists()


def test_a_smaller_micro_batch_keeps_less(tmp_path: Path) -> None:
    records = [
        planned(tmp_path / str(n), "method=lora", f"optim.accumulate={n}", "speed.micro_batch_tokens=null")
        for n in (1, 2)
    ]
    has_its_parts(records[0], tmp_path / "1")
    whole, half = (record.predicted for record in records)
    assert half.memory_bytes.activations == pytest.approx(whole.memory_bytes.activations / 2, rel=0.1)
    assert half.micro_batch_size == 8


def test_the_test_counts_perturbed_rows(tmp_path: Path) -> None:
    def test_by_validation(name: str) -> float:
        predicted = planned(tmp_path / name, "method=head", f"robustness={name}").predicted
        assert 0 < predicted.validation_s < predicted.total_s()
        return predicted.test_s / predicted.validation_s  # of tokens: the seconds of each are the same

    plain, perturbed = test_by_validation("none"), test_by_validation("standard")
    # few rows, so each is perturbed in six ways, evaluated as it is twice, and as many training rows once
    assert perturbed > 8 * plain


def test_what_trains_nothing_is_told(tmp_path: Path) -> None:
    with refused(UserError, "method=majority"):
        planned(tmp_path, "method=majority")


@pytest.mark.parametrize(("packing", "longest"), [(False, 0), (True, 1)])
def test_the_longest_step_comes_first_and_last(packing: bool, longest: int) -> None:
    lengths = np.full(64, 10, np.int32)
    lengths[5], lengths[[20, 21, 22]] = 90, 60
    steps = np.arange(64).reshape(16, 4)

    class InOrder(BatchSampler):
        def _order(self, epoch: int) -> np.ndarray:
            places = [5, *(n for n in range(64) if n not in (5, 20, 21, 22)), 20, 21, 22]
            return np.array(places)

    dealt = list(InOrder(64, micro_batch_size=2, batches=32, start=0, seed=0, rank=0, world_size=1, accumulate=2))
    cut = MicroBatchSplitter((lengths,), lengths, None, 100 if packing else None)
    chosen = select_probe_steps(dealt, [[cut.num_positions(one)] for one in dealt], accumulate=2)
    assert len(chosen) == 10
    assert chosen[0] == chosen[-1]
    assert all(len(step) == 2 for step in chosen)
    rows = [row for one in chosen[0] for row in one.rows]
    assert (5 in rows, 21 in rows) == ((True, False) if longest == 0 else (False, True))
    assert len(steps) == len(dealt) // 2


def test_a_run_shorter_than_the_trial_repeats_its_steps() -> None:
    dealt = list(BatchSampler(8, micro_batch_size=4, batches=2, start=0, seed=0, rank=0, world_size=1))
    assert len(select_probe_steps(dealt, [[4], [8]], accumulate=1)) == 10


def test_saved_bytes_are_those_that_backward_needs() -> None:
    class Module:
        model = nn.Sequential(nn.Linear(8, 4, bias=False), nn.Tanh())

        def loss(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
            return self.model(batch["x"]).square().sum()

    # of 3 examples: the input (8 numbers each) for the matrix, tanh's output (4), which the square keeps too
    assert saved_activation_bytes(Module(), {"x": torch.ones(3, 8)}) == 4 * 3 * (8 + 4)
