"""Seconds per example, with the adapter and without it, of what can be merged; the rest says why not."""

from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.plugins import Precision

from ftlab.data.encoding.example import Example
from ftlab.data.loading.collate import Collate
from ftlab.evaluation import latency
from ftlab.record import Latency
from tests.training import applied, config_for, task_for_model, task_named

ROWS = 7


class Rows:
    """The test split of a data module, as far as `measure` looks at it."""

    def test_dataloader(self) -> SimpleNamespace:
        tokens = torch.arange(5, 17, dtype=torch.int32).numpy()
        examples = [(number, Example(input_ids=tokens, labels=0)) for number in range(ROWS)]
        return SimpleNamespace(dataset=examples, batch_size=4, collate_fn=Collate(0, "right", None))


def measured(method_name: str, *, quantised: bool = False) -> Latency:
    config = config_for(method_name, "bert")
    method, model = applied(config, task_for_model(config, task_named("classification")))
    strategy = SimpleNamespace(root_device=torch.device("cpu"), precision_plugin=Precision())
    return latency.measure_latency(method, model, Rows(), strategy, quantised=quantised)


@pytest.mark.parametrize(
    ("method", "quantised", "status"),
    [
        ("lora", False, "ok"),
        ("lora", True, "quantised"),
        ("full", False, "nothing to merge"),
        ("prefix", False, "cannot be merged"),
        ("adapter", False, "cannot be merged"),
    ],
)
def test_what_is_measured(method: str, quantised: bool, status: str) -> None:
    found = measured(method, quantised=quantised)
    assert found.status == "ok"
    assert found.batch_size == 4
    assert found.single_example_s > 0
    assert found.batched_s > 0
    assert status in found.merged_status
    assert (found.merged_single_example_s is not None) == (found.merged_batched_s is not None) == (status == "ok")


def test_out_of_memory_is_a_status(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> float:
        raise RuntimeError("can't allocate memory: you tried to allocate 1 byte\nmore")

    monkeypatch.setattr(latency, "_seconds", fails)
    found = measured("lora")
    assert found.status == "can't allocate memory: you tried to allocate 1 byte more"
    assert found.single_example_s is None


def test_the_median_of_the_passes_counts_and_the_first_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.0, 9.0, 10.0, 11.0, 11.0, 12.0, 14.0, 14.0, 15.0, 18.0, 18.0])
    monkeypatch.setattr("ftlab.evaluation.latency.time", SimpleNamespace(perf_counter=lambda: next(clock, 0.0)))
    monkeypatch.setattr("ftlab.evaluation.latency._SECONDS", 1000.0)
    method = SimpleNamespace(forward=lambda model, batch: None)
    strategy = SimpleNamespace(root_device=torch.device("cpu"), precision_plugin=Precision())
    batch = {"input_ids": torch.ones(1, 2), "labels": torch.ones(1)}
    assert latency._seconds(method, torch.nn.Linear(1, 1), [batch] * 3, strategy) == 2.0  # of 1, 2 and 3
