"""Tags of a finished run, and where in a text its entities are."""

import io
import json
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import torch
from rich.console import Console
from transformers import AutoTokenizer

from ftlab.data.dataset import build_dataset
from ftlab.data.loading.batches import Loading
from ftlab.data.rows.row import Row
from ftlab.data.rows.tags import entity_spans
from ftlab.inference import output_files as written
from ftlab.inference.entities import annotate_entities, extract_entities
from ftlab.inference.export import export
from ftlab.inference.finished_run import read_run
from ftlab.inference.inputs import from_file, from_texts, usable
from ftlab.inference.predictions import TagsPrediction
from tests.fixtures.finished_runs import TRAINED, finished
from tests.inference.asking import answers

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")

LEARNED = ("method=full", *TRAINED, "budget.steps=80", "budget.train_rows=null")


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("bert", LEARNED),
        ("gpt2", ("method=prompt", *TRAINED)),
        ("t5", ("method=lora", *TRAINED, "budget.steps=20")),
        pytest.param("llama", ("method=lora", *TRAINED), marks=pytest.mark.slow),
        pytest.param("bert", ("method=majority",), marks=pytest.mark.slow),
    ],
)
def test_tags_are_those_of_the_runs_own_predictions(kind: str, settings: tuple[str, ...]) -> None:
    run = read_run(finished(kind, "token_files", *settings))
    expected = pq.read_table(run.directory / "predictions.parquet").to_pylist()
    config = run.config
    module = build_dataset(
        config.dataset,
        budget=config.budget,
        loading=Loading(micro_batch_size=1, eval_batch_size=8),
        max_length=config.max_length,
    )
    asked = [Row({"tokens": row.values["tokens"]}, row.where) for row in module.splits["test"]]
    found = answers(run, asked)
    assert len(found) == len(expected) > 10
    assert [one.tags for one in found] == [other["prediction"] for other in expected]
    assert [row.values["tags"] for row in module.splits["test"]] == [other["label"] for other in expected]
    if settings[0] == "method=majority":
        assert {tag for one in found for tag in one.tags} == {"O"}
    elif settings == LEARNED:
        metrics = run.record.metrics["token_classification"]["test"]
        assert metrics["f1"].value > 0.3
        assert metrics["f1"].n == sum(len(entity_spans(other["label"])) for other in expected)
        assert metrics["precision"].n == sum(len(one.entities) for one in found)


def test_entities_are_found_in_a_text(tmp_path: Path) -> None:
    run = read_run(finished("bert", "token_files", *LEARNED))
    text = "The team won (in London), on Monday."
    found = answers(run, from_texts([text, "今天"], run.config.dataset))
    assert found[0].words == ["The", "team", "won", "(", "in", "London", ")", ",", "on", "Monday", "."]
    for entity in found[0].entities:
        assert text[entity.start : entity.end] == entity.text
    assert [one.type for one in found[0].entities] == [kind for kind, *_ in entity_spans(found[0].tags)]
    assert found[1].words == ["今", "天"]

    lines = tmp_path / "texts.txt"
    lines.write_text(f"{text}\n", encoding="utf-8")
    listed = tmp_path / "words.jsonl"
    listed.write_text(json.dumps({"tokens": found[0].words}) + "\n", encoding="utf-8")
    texts = tmp_path / "texts.csv"
    texts.write_text(f'tokens\n"{text}"\n', encoding="utf-8")
    for file in (lines, listed, texts):
        (one,) = answers(run, usable(row.row for row in from_file(file, run.config.dataset)))
        assert one.tags == found[0].tags


def test_a_text_beyond_max_length_has_a_tag_for_every_word() -> None:
    run = read_run(finished("bert", "token_files", *LEARNED))
    (one,) = answers(run, from_texts(["London " * 200], run.config.dataset))
    assert len(one.words) == len(one.tags) == 200
    assert one.tags[-1] == "O"


def test_entities_and_how_they_are_shown(tmp_path: Path) -> None:
    text = "New York, London!"
    found = extract_entities(text, ["New", "York", ",", "London", "!"], ["B-LOC", "I-LOC", "O", "I-LOC", "O"])
    assert annotate_entities(text, found) == "[New York](LOC), [London](LOC)!"
    answer = TagsPrediction(["New", "York"], ["B-LOC", "I-LOC"], found[:1])
    shown = io.StringIO()
    written.print_predictions([text], [answer], Console(file=shown))
    written.print_predictions(["it rains"], [TagsPrediction(["it", "rains"], ["PRON", "VERB"])], Console(file=shown))
    assert shown.getvalue().splitlines() == ["[New York](LOC), London!", "it/PRON rains/VERB"]
    written.write_file([answer], tmp_path / "a.csv")
    row = pyarrow.csv.read_csv(tmp_path / "a.csv").to_pylist()[0]
    assert {key: json.loads(value) for key, value in row.items()} == answer.to_dict()
    written.write_file([answer], tmp_path / "a.parquet")
    assert pq.read_table(tmp_path / "a.parquet").to_pylist() == [answer.to_dict()]


def test_the_printed_code_tags_each_token(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = read_run(finished("gpt2", "token_files", "method=prompt", *TRAINED))
    code = export(run, tmp_path / "out", merge=False, with_base=None, log=lambda _: None)
    exec(code, {})
    printed = capsys.readouterr().out
    tokens = AutoTokenizer.from_pretrained(tmp_path / "out")("some text")["input_ids"]
    assert len(eval(printed)) == len(tokens)
    assert set(eval(printed)) <= set(run.task.labels)
    assert torch.is_inference_mode_enabled() is False
