"""After training the test split's first rows are answered; the answers are measured, kept and shown."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from lightning.pytorch import Trainer
from torch.distributed.device_mesh import init_device_mesh

from ftlab.comparison.predictions import read_predictions
from ftlab.comparison.tables import ComparedRun
from ftlab.data.generative import PromptWithReference
from ftlab.evaluation.generation import GenerationEvaluation
from ftlab.inference.finished_run import FinishedRun, read_run
from ftlab.inference.generated import response_prompts
from ftlab.record import Cost, read_record
from ftlab.tasks.text_metrics import METRIC_NAMES, PER_TEXT_METRICS
from ftlab.train.fsdp import shard_model
from tests.fixtures.fake_ranks import one_of_two
from tests.fixtures.finished_runs import finished
from tests.inference.asking import answers, rows_of
from tests.methods.untrained import assert_untrained
from tests.tasks.test_generation import count_tokens
from tests.training import config_for, module_for, task_named

__all__ = ["one_of_two"]

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.xdist_group("answering"),  # its tests read the same finished runs
]

FEW = ("dataset.generate.rows=5", "dataset.generate.max_new_tokens=12", "budget.max_length=96")


def generated(directory: Path) -> list[str | None]:
    return pq.read_table(directory / "predictions.parquet")["generated"].to_pylist()


def check_answers(run: FinishedRun) -> None:
    """The answers are those that `ftlab predict` gives."""
    assert [answer.answer for answer in answers(run, rows_of(run)[:5])] == generated(run.directory)[:5]


def check_cost(cost: Cost, run: FinishedRun) -> None:
    """Generation is a phase of evaluation, and its tokens are those of decoding prompt by prompt."""
    assert list(cost.phases) == ["setup", "train", "eval", "generate"]
    assert sum(cost.phases.values()) == pytest.approx(cost.setup_s + cost.train_s + cost.eval_s, abs=1e-6)
    assert 0 < cost.phases["generate"] == pytest.approx(cost.eval_s - cost.phases["eval"], abs=1e-6)
    base = run.load_base()
    model, rows = run.restore_model(base), rows_of(run)[:5]
    prompts = list(response_prompts(run, base, rows))
    assert len(prompts) == 5
    assert cost.generated_tokens == sum(count_tokens(model, base, run.method, prompt, 12) for prompt in prompts)


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        ("gpt2", "lora"),
        pytest.param("llama", "prefix", marks=pytest.mark.slow),
        ("t5", "prompt"),
        ("llama", "zero_shot"),
    ],
)
def test_rows_are_answered(kind: str, method: str) -> None:
    directory = finished(kind, "instruction_files", f"method={method}", *FEW)
    record = read_record(directory)
    if method == "zero_shot":
        assert_untrained(record, directory, kept=[])
    test = record.metrics["instruction"]["test"]
    assert {name: test[name].n for name in METRIC_NAMES} == dict.fromkeys(METRIC_NAMES, 5)
    assert all(test[name].value is not None for name in METRIC_NAMES)
    assert test["bleu"].signature
    assert [column.metric for column in record.columns] == ["loss", "perplexity", "rouge_l"]
    texts = generated(directory)
    assert all(isinstance(text, str) for text in texts[:5])
    assert texts[5:] == [None] * (len(texts) - 5)
    assert len(texts) > 5
    assert [sample.written for sample in record.samples] == texts[:3]
    saved = pq.read_table(directory / "predictions.parquet").to_pylist()
    assert [(sample.prompt, sample.expected) for sample in record.samples] == [
        (row["text"].splitlines()[0], row["expected"]) for row in saved[:3]
    ]
    assert all(row["where"].startswith("rows.jsonl:") and row["text"] and row["expected"] for row in saved)
    for name in PER_TEXT_METRICS:  # a comparison has what each text contributes
        examples = read_predictions(ComparedRun(directory, record, "", ""), name)
        assert len(examples.ids) == 5
        assert examples.contributions.mean() == pytest.approx(test[name].value)
    assert record.cost is not None
    check_cost(record.cost, read_run(directory))
    check_answers(read_run(directory))


def test_no_rows_are_answered_where_that_is_switched_off() -> None:
    directory = finished("gpt2", "instruction_files", "method=lora", *FEW, "dataset.generate.rows=0")
    record = read_record(directory)
    assert not record.samples
    assert list(record.cost.phases) == ["setup", "train", "eval"]
    assert record.cost.generated_tokens is None
    assert not set(METRIC_NAMES) & record.metrics["instruction"]["test"].keys()
    assert [column.metric for column in record.columns] == ["loss", "perplexity"]
    assert "generated" not in pq.read_table(directory / "predictions.parquet").column_names


def test_answers_draw_on_nothing_that_training_does() -> None:
    """Two runs, one of which answers nothing, have the same losses."""
    one, other = (
        read_record(finished("gpt2", "instruction_files", "method=lora", *FEW, *none))
        for none in ((), ("dataset.generate.rows=0",))
    )
    assert one.metrics["instruction"]["test"]["loss"] == other.metrics["instruction"]["test"]["loss"]


@pytest.mark.usefixtures("one_of_two")
def test_a_sharded_model_writes_nothing_and_says_so() -> None:
    config = config_for("full", "gpt2")
    module = module_for(config, task_named("instruction"), steps=1)
    shard_model(module.model, init_device_mesh("cpu", (2,)))
    callback = GenerationEvaluation([], None, module.method, max_new_tokens=4, batch_size=2)
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    callback.on_test_epoch_end(trainer, module)
    module.results["test"] = {}
    callback.on_test_end(trainer, module)
    assert {metric.value for metric in module.results["test"].values()} == {None}
    assert "sharded" in module.results["test"]["rouge_l"].status


def test_the_time_of_all_texts_is_extrapolated_from_the_first_tokens_of_some(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []

    def timed(_: object, __: object, ___: object, prompts: list[object], max_new_tokens: int) -> float:
        asked.append((len(prompts), max_new_tokens))
        return len(prompts) * (2.0 + 0.5 * (max_new_tokens - 1))

    monkeypatch.setattr(GenerationEvaluation, "_timed", timed)
    examples = [PromptWithReference([1], [], 2, "", "") for _ in range(40)]
    callback = GenerationEvaluation(examples, None, None, max_new_tokens=64, batch_size=8)
    assert callback.predicted_seconds(None, None) == pytest.approx(40 * (2.0 + 0.5 * 63))
    assert asked == [(1, 1), (16, 1), (16, 8)]
    single = GenerationEvaluation(examples[:3], None, None, max_new_tokens=1, batch_size=8)
    assert single.predicted_seconds(None, None) == pytest.approx(3 * 2.0)
    assert GenerationEvaluation([None], None, None, max_new_tokens=4, batch_size=8).predicted_seconds(None, None) == 0
