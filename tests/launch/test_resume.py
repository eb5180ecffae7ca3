"""A run whose process is killed, several times and anywhere, ends as if nothing had happened: to the bit."""

import csv
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file

from ftlab.record import RunRecord
from ftlab.record.checkpoints import ResumePoint, resume_points
from ftlab.train.checkpoint_io import DurableCheckpointIO
from tests.fixtures.checkpoints import tiny
from tests.fixtures.compose import composed
from tests.launch.sweeping import Bench, directory_of
from tests.mixing import settings as mixture
from tests.rows import instructions_jsonl, plain_text, words_and_tags

pytestmark = pytest.mark.xdist_group("bench")

# dropout on, an accumulation, passes of few tokens, epochs that end in a step (64 rows, steps of 10), some validations
RUN = (
    "model.dropout=0.1",
    "budget.steps=24",
    "budget.validations=6",
    "optim.batch_size=10",
    "optim.accumulate=2",
    "speed.micro_batch_tokens=48",
    "sweep.checkpoint_s=0",
    "sweep.val_predictions=true",
)


def results(directory: Path, record: RunRecord) -> dict[str, object]:
    """Return all that a run leaves and that does not tell the time."""
    (weights,) = (directory / "adapter").glob("*.safetensors")
    with (directory / "metrics.csv").open() as stream:
        curves = [
            {key: value for key, value in row.items() if not key.endswith("_s")}  # cost/train_s, train/tokens_per_s …
            for row in csv.DictReader(stream)
        ]
    return {
        "metrics": record.metrics,
        "predictions": pq.read_table(directory / "predictions.parquet").to_pylist(),
        "val_predictions": (directory / "val_predictions.parquet").read_bytes(),
        "weights": {name: tensor.tolist() for name, tensor in load_file(weights).items()},
        "curves": curves,
        "checks": record.checks,
        "counts": (record.cost.optimizer_steps, record.cost.examples_seen, record.cost.tokens_seen),
    }


@dataclass
class Story:
    """What was seen of a run that was killed three times, and of the same one that nobody disturbed.

    Attributes:
        steps: at or after which it was killed.
        state: what its newest checkpoint held after the first time.
        torn: the checkpoint that lost its tail after the second time.
        before: the one that was saved before that.
        attempt: the record of the attempt that went on after that.
    """

    expected: RunRecord
    record: RunRecord
    folders: tuple[Path, Path]
    steps: list[int]
    state: dict[str, Any]
    torn: ResumePoint
    before: ResumePoint
    attempt: RunRecord


@pytest.fixture(scope="module")
def story(bench: Bench) -> Story:
    whole, broken = (bench.config(sweep, "method=lora", *RUN) for sweep in ("whole", "broken"))
    (expected,) = bench.run([whole])
    saved = directory_of(broken) / "checkpoints"
    steps = sorted(random.Random("lora").sample(range(1, 14), 3))
    bench.kill_at(broken, steps[0])
    state = DurableCheckpointIO().load_checkpoint(resume_points(saved)[0].path)
    bench.kill_at(broken, steps[1])
    torn, before, *_ = resume_points(saved)  # it may have died before the oldest was removed
    torn.path.write_bytes(torn.path.read_bytes()[:1000])
    attempt = bench.kill_at(broken, steps[2])
    (record,) = bench.run([broken])
    folders = directory_of(whole), directory_of(broken)
    return Story(expected, record, folders, steps, state, torn, before, attempt)


def test_killed_three_times(story: Story) -> None:
    expected, record = story.expected, story.record
    assert (expected.status, record.status) == ("completed", "completed"), (expected.failure, record.failure)
    first, _, third = record.resumed_at
    assert first >= story.steps[0]
    assert third >= story.steps[2]
    whole, broken = story.folders
    assert results(broken, record) == results(whole, expected)
    assert not (broken / "checkpoints").exists()


def test_it_goes_on_from_the_checkpoint_before_a_torn_one(story: Story) -> None:
    """The newest checkpoint lost its tail with the machine's power."""
    assert story.attempt.resumed_at[1] == story.record.resumed_at[1] == story.before.step
    assert story.before.step >= story.steps[0]
    assert story.torn.path.name in story.attempt.warnings[0]


def test_a_checkpoint_holds_what_trains_and_nothing_of_the_base(story: Story) -> None:
    trainable = story.record.trainable
    assert trainable
    assert set(story.state["state_dict"]) == {f"model.{name}" for name in trainable}
    (optimizer,) = story.state["optimizer_states"]
    assert len(optimizer["state"]) == len(trainable)
    assert "loops" not in story.state


def killed_and_whole(
    bench: Bench, name: str, steps: list[int], *settings: str, of_bench: bool = True
) -> tuple[RunRecord, RunRecord]:
    """Run settings undisturbed, and killed at these steps: both leave the same; return both records."""
    given = [*bench.settings, *settings] if of_bench else settings
    whole, broken = (composed(*given, f"sweep.dir={bench.folder / f'{sweep}-{name}'}") for sweep in ("whole", "broken"))
    (expected,) = bench.run([whole])
    record = bench.killing_at(broken, steps)
    assert (expected.status, record.status) == ("completed", "completed"), (expected.failure, record.failure)
    assert len(record.resumed_at) == len(steps)
    assert all(at >= step for at, step in zip(record.resumed_at, steps, strict=True))
    assert results(directory_of(broken), record) == results(directory_of(whole), expected)
    return expected, record


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "kind", "settings"),
    [
        ("masked_lm", "masked", ["method=gradual"]),
        ("text", "gpt2", ["method=adalora", "optim.packing=true"]),
        ("instruction", "llama", ["method=prefix", "budget.max_length=128"]),
        ("seq2seq", "t5", ["dataset.columns.source=instruction", "dataset.columns.target=output"]),
        ("token_classification", "bert", ["method=full", "budget.patience=2"]),
    ],
)
def test_killed_in_every_task_with_methods_that_have_a_state(
    task: str, kind: str, settings: list[str], bench: Bench
) -> None:
    """What is masked, written or tagged, and which rows share a step, is the seed's, wherever the run was begun."""
    if task in ("masked_lm", "text"):
        settings += ["dataset=plain_text_files", f"dataset.task={task}"]
        rows = plain_text(bench.folder / "rows.txt")
    elif task == "token_classification":
        settings += ["dataset=token_files"]
        rows = words_and_tags(bench.folder / "rows.conll")
    else:
        settings = [f"dataset={task}_files", *settings]
        rows = instructions_jsonl(bench.folder / "rows.jsonl")
    common = [f"dataset.source.train={rows}", f"model.name={tiny(kind)}", *RUN, "optim.group_by_length=true"]
    short = ["budget.steps=16", "budget.validations=4", "budget.test_rows=8"]
    expected, record = killed_and_whole(bench, task, [5], *settings, *common, *short)
    test = expected.metrics[task]["test"]
    assert test
    assert ("rouge_l" in test) == (task in ("instruction", "seq2seq"))
    assert [sample.written for sample in record.samples] == [sample.written for sample in expected.samples]
    assert bool(expected.samples) == (task in ("instruction", "seq2seq"))


@pytest.mark.slow
def test_two_ranks_killed_while_the_frozen_trunk_is_kept(bench: Bench) -> None:
    """Each rank has its own stream of dropout, and goes on with it.

    What is kept goes with the process, and is the same when it is worked out again; each rank has its own.
    """
    frozen_prefix = ("method=partial", "method.layers=1", "model.frozen_dropout=false", *RUN, "hardware=ddp_cpu")
    settings = (*frozen_prefix, "optim.batch_size=12")
    expected, record = killed_and_whole(bench, "frozen-prefix", [5, 11], *settings, "speed.frozen_layers=auto")
    (plain,) = bench.run([bench.config("plain-frozen-prefix", *settings, "speed.frozen_layers=off")])
    assert expected.hardware.devices == 2
    assert 0 < record.cost.spared_flops < expected.cost.spared_flops
    loss, other = (one.metrics["classification"]["test"]["loss"].value for one in (expected, plain))
    assert loss == pytest.approx(other, rel=1e-4)


@pytest.mark.slow
def test_killed_with_several_data_sets(bench: Bench) -> None:
    """Whose turn it is, and which of its rows comes, is the seed's, wherever the run was begun."""
    given = mixture(bench.folder, "hardware=cpu", *RUN)
    killed_and_whole(bench, "mixture", [3, 11], *given, of_bench=False)
