"""A mixture from a command line to a record, and from there to an export."""

import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ftlab.comparison.predictions import read_predictions
from ftlab.comparison.tables import ComparedRun
from ftlab.core.errors import ConfigError, UserError
from ftlab.inference.export import export
from ftlab.inference.finished_run import FinishedRun, read_run
from ftlab.inference.predictor import Predictor
from ftlab.preview.collect import collect_preview
from ftlab.record import read_record
from ftlab.trackers import run_fields
from ftlab.train.run import run
from tests.data.making import jsonl
from tests.fixtures.checkpoints import tiny
from tests.fixtures.compose import composed
from tests.fixtures.finished_runs import proven
from tests.fixtures.refusals import refused
from tests.mixing import settings
from tests.rows import instructions_jsonl, words_and_tags

pytestmark = pytest.mark.xdist_group("mixture_run")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mixture")


@pytest.fixture(scope="module")
def done(folder: Path) -> Path:
    proven(run(composed(*settings(folder, "method=lora")), folder / "lora", []))
    return folder / "lora"


def test_metrics_rows_and_answers_of_each_part_are_apart(done: Path) -> None:
    record = read_record(done)
    assert record.task == "mixture"
    assert set(record.metrics) == {"mixture", "money", "score", "many"}
    assert set(record.metrics["mixture"]["test"]) == {"loss"}  # no other metric is every part's
    losses = [record.metrics[part][split]["loss"].value for part in ("money", "score", "many") for split in ("val",)]
    assert record.metrics["mixture"]["val"]["loss"].value == pytest.approx(sum(losses) / 3)
    assert {"accuracy", "auroc"} <= record.metrics["money"]["test"].keys()
    assert "spearman" in record.metrics["score"]["test"]
    data = record.data
    assert data is not None
    assert {name: part.share for name, part in data.parts.items()} == {"money": 0.5, "score": 0.25, "many": 0.25}
    assert data.parts["score"].target_means
    assert data.rows["test"] == sum(part.rows["test"] for part in data.parts.values())
    columns = [column.metric for column in record.columns]
    assert columns[0] == "money/accuracy"
    shown = ComparedRun(done, record, "", "")
    assert all(record.test_metric(name) is not None for name in columns)
    assert shown.test("money/accuracy") == record.metrics["money"]["test"]["accuracy"].value
    rows = pq.read_table(done / "predictions.parquet").to_pylist()
    assert {row["task"]: sum(other["task"] == row["task"] for other in rows) for row in rows} == {
        name: part.rows["test"] for name, part in data.parts.items()
    }
    assert {row["label"] for row in rows if row["task"] == "money"} == {"money", "other"}
    assert all(float(row["prediction"]) for row in rows if row["task"] == "score")
    assert all((row["scores"] is None) == (row["task"] == "score") for row in rows)


def test_the_metrics_of_parts_can_be_tested_on_their_examples_and_are_apart_in_trackers(done: Path) -> None:
    record = read_record(done)
    shown = ComparedRun(done, record, "", "")
    for name in ("money/accuracy", "money/macro_f1", "score/mae", "many/micro_f1", "many/subset_accuracy"):
        assert read_predictions(shown, name).contributions.mean() == pytest.approx(shown.test(name), rel=1e-3)
    told = run_fields.results(record)
    assert told["test/loss"] == record.metrics["mixture"]["test"]["loss"].value
    assert told["test/money/accuracy"] == shown.test("money/accuracy")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["full", "adapter", "prefix", "head"])
def test_other_methods_train_every_head_and_load_again(method: str, folder: Path) -> None:
    """Beside LoRA, whose run all others here read."""
    record = proven(run(composed(*settings(folder, f"method={method}", "budget.steps=2")), folder / method, []))
    assert record.metrics["many"]["test"]["loss"].value is not None


def test_a_mixtures_run_is_exported_with_named_outputs_and_asks_for_one_data_set(
    done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished = read_run(done)
    assert finished.task.labels == ("money/money", "money/other", "score/score", "many/even", "many/third")
    said: list[str] = []
    code = export(finished, tmp_path / "model", merge=False, with_base=None, log=said.append)
    assert "id2label" in code
    assert re.search(r"\d\.\d\de[+-]\d\d", said[-1])  # by how much what was loaded again differs
    monkeypatch.setattr(FinishedRun, "load_base", lambda *_: pytest.fail("the model was loaded"))
    with refused(UserError, "money", "score", "many", "ftlab export"):
        Predictor(done)


def test_a_preview_asks_for_one_part(folder: Path) -> None:
    with refused(ConfigError, "ftlab data", "mixture"):
        collect_preview(composed(*settings(folder)), 2)


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        ("llama", "lora"),
        pytest.param("t5", "full", marks=pytest.mark.slow),
        pytest.param("llama", "zero_shot", marks=pytest.mark.slow),
    ],
)
def test_parts_that_write_share_their_output_layer(kind: str, method: str, tmp_path: Path) -> None:
    instructions_jsonl(tmp_path / "rows.jsonl")
    other, rows = ("seq2seq_files", "pairs.jsonl") if kind == "t5" else ("plain_text_files", "rows.txt")
    (tmp_path / "rows.txt").write_text("\n\n".join(f"Text {n} goes on until its end." for n in range(90)))
    jsonl(tmp_path / "pairs.jsonl", [{"source": f"text {n}", "target": f"Text {n}"} for n in range(60)])
    config = composed(
        *("model=hf", f"model.name={tiny(kind)}", "dataset=mixture", f"method={method}"),
        *("+dataset@dataset.parts.asked=instruction_files", f"+dataset@dataset.parts.other={other}"),
        f"dataset.parts.asked.source.train={tmp_path / 'rows.jsonl'}",
        f"dataset.parts.other.source.train={tmp_path / rows}",
        *("budget=smoke", "budget.steps=2", "budget.max_length=48", "tracker=none", "optim.lr=1e-3"),
    )
    record = proven(run(config, tmp_path / "run", []))
    assert {"loss", "perplexity"} <= record.metrics["mixture"]["test"].keys()
    assert ("bits_per_byte" in record.metrics["other"]["test"]) == (kind != "t5")
    assert "bits_per_byte" not in record.metrics["asked"]["test"]


def test_sets_that_need_heads_of_different_kinds_are_refused(folder: Path, tmp_path: Path) -> None:
    words_and_tags(tmp_path / "rows.conll")
    words = ["+dataset@dataset.parts.words=token_files", f"dataset.parts.words.source.train={tmp_path / 'rows.conll'}"]
    given = [one.replace("many: 1", "many: 1, words: 1") for one in settings(folder)]
    with refused(UserError, "money", "classification", "words", "AutoModelForTokenClassification"):
        run(composed(*given, *words), tmp_path / "run", [])
