"""A run whose process is killed, several times and anywhere, ends as if nothing had happened: to the bit."""

import csv
import random
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file

from ftlab.record import RunRecord
from tests.fixtures.checkpoints import tiny
from tests.fixtures.compose import composed
from tests.launch.sweeping import Bench, directory_of
from tests.mixing import settings
from tests.rows import instructions_jsonl, plain_text, words_and_tags
from tests.tiny import save_masked, save_tiny

# dropout on, an accumulation, passes of few tokens, epochs that end in a step (64 rows, steps of 10), some validations
RUN = (
    "model.dropout=0.1",
    "budget.steps=40",
    "budget.validations=6",
    "optim.batch_size=10",
    "optim.accumulate=2",
    "speed.micro_batch_tokens=24",
    "sweep.checkpoint_s=0",
)


def results(directory: Path, record: RunRecord) -> dict[str, object]:
    """Return all that a run leaves and that does not tell the time."""
    (weights,) = (directory / "adapter").glob("*.safetensors")
    with (directory / "metrics.csv").open() as stream:
        curves = [{key: value for key, value in row.items() if key != "cost/train_s"} for row in csv.DictReader(stream)]
    return {
        "metrics": record.metrics,
        "predictions": pq.read_table(directory / "predictions.parquet").to_pylist(),
        "weights": {name: tensor.tolist() for name, tensor in load_file(weights).items()},
        "curves": curves,
        "checks": record.checks,
        "counts": (record.cost.optimizer_steps, record.cost.examples_seen, record.cost.tokens_seen),
    }


@pytest.mark.parametrize(
    "method",
    ["lora", *(pytest.param(name, marks=pytest.mark.slow) for name in ("adalora", "prefix", "full", "gradual"))],
)
def test_killed_three_times(method: str, bench: Bench) -> None:
    settings = (f"method={method}", *RUN, *(["budget.patience=2"] if method == "full" else []))
    whole, broken = (bench.config(f"{sweep}-{method}", *settings) for sweep in ("whole", "broken"))
    (expected,) = bench.run([whole])
    steps = sorted(random.Random(method).sample(range(1, 36), 3))
    record = bench.killing_at(broken, steps)
    assert (expected.status, record.status) == ("completed", "completed"), (expected.failure, record.failure)
    assert len(record.resumed_at) == 3
    assert all(at >= step for at, step in zip(record.resumed_at, steps, strict=True))
    assert results(directory_of(broken), record) == results(directory_of(whole), expected)
    assert not (directory_of(broken) / "checkpoints").exists()


@pytest.mark.slow
@pytest.mark.parametrize("hardware", ["cpu", "ddp_cpu"])
def test_killed_while_the_frozen_trunk_is_kept(hardware: str, bench: Bench) -> None:
    """What is kept goes with the process, and is the same when it is worked out again; each rank has its own."""
    trunk = ("method=partial", "method.layers=1", "model.frozen_dropout=false", *RUN, f"hardware={hardware}")
    size = ("optim.batch_size=12",) if hardware == "ddp_cpu" else ()
    whole, broken, plain = (
        bench.config(f"{sweep}-trunk-{hardware}", *trunk, *size, f"speed.trunk={kept}")
        for sweep, kept in (("whole", "auto"), ("broken", "auto"), ("plain", "off"))
    )
    expected, anew = bench.run([whole]) + bench.run([plain])
    record = bench.killing_at(broken, [9, 25])
    assert (expected.status, record.status) == ("completed", "completed"), (expected.failure, record.failure)
    assert results(directory_of(broken), record) == results(directory_of(whole), expected)
    assert 0 < record.cost.spared_flops < expected.cost.spared_flops
    loss, other = (one.metrics["classification"]["test"]["loss"].value for one in (expected, anew))
    assert loss == pytest.approx(other, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["masked_lm", "text"])
def test_killed_with_masks_and_grouped_steps(task: str, bench: Bench) -> None:
    """What is masked and which rows share a step is the seed's, wherever the run was begun."""
    (save_masked if task == "masked_lm" else partial(save_tiny, "gpt2"))(directory=bench.folder / task)
    settings = (
        "dataset=plain_text_files",
        f"dataset.task={task}",
        f"dataset.source.train={plain_text(bench.folder / 'rows.txt')}",
        f"model.name={bench.folder / task}",
        *RUN,
        "optim.group_by_length=true",
        f"optim.packing={str(task == 'text').lower()}",
    )
    whole, broken = (bench.config(f"{sweep}-{task}", *settings) for sweep in ("whole", "broken"))
    (expected,) = bench.run([whole])
    record = bench.killing_at(broken, [11])
    assert (expected.status, record.status) == ("completed", "completed"), (expected.failure, record.failure)
    assert len(record.resumed_at) == 1
    assert results(directory_of(broken), record) == results(directory_of(whole), expected)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["instruction", "seq2seq", "token_classification"])
def test_killed_where_test_rows_are_answered_or_tagged(task: str, bench: Bench) -> None:
    kind = {"instruction": "llama", "seq2seq": "t5", "token_classification": "bert"}[task]
    make, columns = instructions_jsonl, ["dataset.columns.source=instruction", "dataset.columns.target=output"]
    if task == "token_classification":
        make = words_and_tags
    settings = (
        f"dataset={'token' if task == 'token_classification' else task}_files",
        f"dataset.source.train={make(bench.folder / ('rows.conll' if make is words_and_tags else 'rows.jsonl'))}",
        *(columns if task == "seq2seq" else []),
        f"model.name={tiny(kind)}",
        *RUN,
        "optim.group_by_length=true",
    )
    whole, broken = (bench.config(f"{sweep}-{task}", *settings) for sweep in ("whole", "broken"))
    (expected,) = bench.run([whole])
    record = bench.killing_at(broken, [11])
    assert (expected.status, record.status) == ("completed", "completed"), (expected.failure, record.failure)
    assert len(record.resumed_at) == 1
    assert ("rouge_l" in expected.metrics[task]["test"]) == (task != "token_classification")
    assert [sample.written for sample in record.samples] == [sample.written for sample in expected.samples]
    assert results(directory_of(broken), record) == results(directory_of(whole), expected)


@pytest.mark.slow
def test_killed_with_several_data_sets(bench: Bench) -> None:
    """Whose turn it is, and which of its rows comes, is the seed's, wherever the run was begun."""
    given = settings(bench.folder, "hardware=cpu", *RUN)
    whole, broken = (composed(*given, f"sweep.dir={bench.folder / sweep}") for sweep in ("whole", "broken"))
    (expected,) = bench.run([whole])
    record = bench.killing_at(broken, [7, 19])
    assert (expected.status, record.status) == ("completed", "completed"), (expected.failure, record.failure)
    assert len(record.resumed_at) == 2
    assert results(directory_of(broken), record) == results(directory_of(whole), expected)
