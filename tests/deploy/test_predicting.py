"""Answers are those of the run itself."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from ftlab.data.base import DataModule
from ftlab.data.rows import Row
from ftlab.data.run_data import of_run
from ftlab.deploy.finished import Finished, read_run
from ftlab.deploy.predicting import Answer, predict
from ftlab.deploy.questions import asked, from_texts
from ftlab.errors import DataError
from ftlab.models import Base
from tests.deploy.runs import finished

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")


def data_of(run: Finished) -> DataModule:
    """Return the run's data."""
    return of_run(run.config)


def rows_of(run: Finished) -> list[Row]:
    """Return the rows that the run was tested on, without what it was to predict."""
    roles = asked(run.config.dataset)
    return [Row({role: row.values[role] for role in roles}, row.where) for row in data_of(run).splits["test"]]


def answers(run: Finished, rows: list[Row], *, max_new_tokens: int = 12) -> list[Answer]:
    done: list[int] = []
    found = predict(run, run.base(), rows, max_new_tokens=max_new_tokens, advance=done.append)
    assert sum(done) == len(rows)
    return found


@pytest.mark.parametrize("kind", ["bert", "gpt2", "llama", "t5"])
@pytest.mark.parametrize(
    "method", ["lora", "full", "prefix", "adapter", "prompt_head", "zero_shot", "few_shot", "majority"]
)
def test_classes_are_those_of_the_runs_own_predictions(kind: str, method: str) -> None:
    if (kind, method) in {("t5", "prefix"), *(("bert", name) for name in ("prompt_head", "zero_shot", "few_shot"))}:
        pytest.skip("refused: see the contract test")
    given = ["method.shot_tokens=32"] if method == "few_shot" else []
    run = read_run(finished(kind, "text_files", f"method={method}", *given))
    expected = pq.read_table(run.directory / "predictions.parquet").to_pylist()
    found = answers(run, rows_of(run))
    assert len(found) == len(expected) > 10
    for one, other in zip(found, expected, strict=True):
        assert one["prediction"] == other["prediction"]
        assert list(one["scores"]) == ["money", "other"]
        assert list(one["scores"].values()) == pytest.approx(other["scores"], abs=1e-6)
        assert one["probability"] == max(one["scores"].values())


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        ("bert", "lora"),
        ("gpt2", "majority"),
        pytest.param("llama", "prefix", marks=pytest.mark.slow),
        pytest.param("bert", "adapter", marks=pytest.mark.slow),
    ],
)
def test_labels_are_those_of_the_runs_own_predictions(kind: str, method: str) -> None:
    run = read_run(finished(kind, "multilabel_files", f"method={method}"))
    expected = pq.read_table(run.directory / "predictions.parquet").to_pylist()
    found = answers(run, rows_of(run))
    assert len(found) == len(expected) > 10
    for one, other in zip(found, expected, strict=True):
        assert one["prediction"] == other["prediction"]
        assert list(one["scores"]) == ["even", "third"]
        assert list(one["scores"].values()) == pytest.approx(other["scores"], abs=1e-6)


@pytest.mark.parametrize(
    ("kind", "method", "given"),
    [
        ("bert", "lora", "dataset.columns.target=[score,low]"),
        ("gpt2", "majority", "dataset.standardise=false"),
        *(
            pytest.param(kind, method, given, marks=pytest.mark.slow)
            for kind, method, given in (
                ("bert", "lora", ""),
                ("llama", "prompt", ""),
                ("gpt2", "majority", "dataset.columns.target=[score,low]"),
            )
        ),
    ],
)
def test_numbers_are_those_of_the_runs_own_predictions(kind: str, method: str, given: str) -> None:
    run = read_run(finished(kind, "regression_files", f"method={method}", *([given] if given else [])))
    expected = pq.read_table(run.directory / "predictions.parquet").to_pylist()
    found = answers(run, rows_of(run))
    assert len(found) == len(expected) > 10
    for one, other in zip(found, expected, strict=True):
        if "low" in given:
            assert list(one["prediction"]) == ["score", "low"]
            one = {"prediction": list(one["prediction"].values())}
        assert one["prediction"] == pytest.approx(other["prediction"], rel=1e-5, abs=1e-4)
    if method == "majority":  # the mean of the training rows
        train = data_of(run).splits["train"]
        mean = sum(json.loads(row.values["target"])[0] for row in train) / len(train)
        value = found[0]["prediction"]
        assert (value["score"] if isinstance(value, dict) else value) == pytest.approx(mean, rel=1e-5)


def test_a_batch_changes_no_answer() -> None:
    run = read_run(finished("gpt2", "text_files", "method=lora"))
    rows = from_texts(
        ["The band played.", "Shares of the company rose by five per cent after it reported."], run.config.dataset
    )
    together = answers(run, rows)
    for row, one in zip(rows, together, strict=True):
        (alone,) = answers(run, [row])
        assert list(alone["scores"].values()) == pytest.approx(list(one["scores"].values()), abs=1e-6)


@pytest.mark.parametrize("kind", ["gpt2", "llama", "t5"])
@pytest.mark.parametrize("method", ["lora", "full", "prefix", "prompt", "p_tuning", "adapter", "zero_shot", "few_shot"])
def test_what_is_written_is_what_the_run_finds_most_likely(kind: str, method: str) -> None:
    """Step by step through the method's own forward pass, which has no cache that could lose a prefix."""
    given = ["method.shot_tokens=48", "method.shots=1"] if method == "few_shot" else ["optim.lr=0.02"]
    given = [] if method == "zero_shot" else given
    run = read_run(finished(kind, "instruction_files", f"method={method}", "budget.max_length=96", *given))
    rows = rows_of(run)[:6]
    found = answers(run, rows)
    base = run.base()
    model = run.restored(base)
    from ftlab.deploy import predicting

    for prompt, one in zip(predicting._prompts(run, base, rows), found, strict=True):
        assert one == {
            "answer": base.tokenizer.decode(
                _greedy(run, base, model, prompt.read, {prompt.end}), skip_special_tokens=True
            ).strip()
        }


@torch.inference_mode()
def _greedy(run: Finished, base: Base, model: torch.nn.Module, prompt: list[int], ends: set[int]) -> list[int]:
    written: list[int] = []
    config = base.model.config
    ends = ends | {base.tokenizer.eos_token_id}
    while len(written) < 12:
        if config.is_encoder_decoder:
            batch = {"input_ids": torch.tensor([prompt])}
            batch["decoder_input_ids"] = torch.tensor([[config.decoder_start_token_id, *written]])
        else:
            batch = {"input_ids": torch.tensor([[*prompt, *written]])}
        batch["attention_mask"] = torch.ones_like(batch["input_ids"])
        token = int(run.method.forward(model, batch)[0, -1].argmax())
        if token in ends:
            break
        written.append(token)
    return written


def test_running_text_goes_on() -> None:
    run = read_run(finished("gpt2", "plain_text_files", "method=lora"))
    (answer,) = answers(run, from_texts(["The market fell on"], run.config.dataset))
    assert list(answer) == ["answer"]


def test_a_prompt_that_is_too_long_is_named() -> None:
    run = read_run(finished("gpt2", "instruction_files", "method=lora"))
    rows = from_texts(["short", "word " * 400], run.config.dataset)
    with pytest.raises(DataError, match="--text 2: this prompt is longer than the 256 tokens"):
        answers(run, rows)


def test_an_answer_stops_where_the_model_can_see_no_further() -> None:
    run = read_run(finished("gpt2", "instruction_files", "method=lora", "optim.lr=1e-9"))
    (answer,) = answers(run, from_texts(["a " * 100], run.config.dataset), max_new_tokens=500)
    assert answer["answer"]


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_the_command_answers_a_file_row_by_row(suffix: str, tmp_path: Path) -> None:
    run = read_run(finished("bert", "text_files", "method=lora"))
    rows = rows_of(run)
    file = tmp_path / "news.txt"
    file.write_text("\n".join(row.values["text"] for row in rows) + "\n", encoding="utf-8")
    expected = answers(run, rows)
    output = tmp_path / f"answers.{suffix}"
    from ftlab.cli import finished as commands

    commands._answered(run.directory, [], file, output, 8, False)
    if suffix == "jsonl":
        found = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
        assert [row["prediction"] for row in found] == [row["prediction"] for row in expected]
        assert found[0]["scores"] == pytest.approx(expected[0]["scores"])
    elif suffix == "parquet":
        table = pq.read_table(output)
        assert table["score_money"].to_pylist() == pytest.approx([row["scores"]["money"] for row in expected])
    else:
        head, first, *_ = output.read_text(encoding="utf-8").splitlines()
        assert head == '"prediction","probability","score_money","score_other"'
        assert first.startswith(f'"{expected[0]["prediction"]}",')
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([file.name, output.name])


def test_the_command_prints_json_lines_for_a_file(tmp_path: Path) -> None:
    directory = finished("bert", "text_files", "method=lora")
    file = tmp_path / "texts.csv"
    file.write_text("text\nThe team won.\nShares fell.\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "ftlab", "predict", str(directory), "--file", str(file)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert [set(json.loads(line)) for line in done.stdout.splitlines()] == [{"prediction", "probability", "scores"}] * 2
    assert done.stderr == ""
