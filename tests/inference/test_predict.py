"""Answers are those of the run itself."""

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from ftlab.cli import app
from ftlab.cli import finished as commands
from ftlab.core.errors import ConfigError, DataError, UserError
from ftlab.data.base import DataModule
from ftlab.data.build import build_data
from ftlab.data.rows.row import Row
from ftlab.inference.finished_run import FinishedRun, read_run
from ftlab.inference.generated import response_prompts, text_prompts
from ftlab.inference.inputs import from_texts, input_columns
from ftlab.inference.loaded_run import Prediction
from ftlab.inference.predict import predict
from ftlab.models import Base
from ftlab.models.devices import find_devices
from tests.fixtures.finished_runs import MANY_SETTINGS, OTHER_SETTINGS, TRAINED, finished, of_experiment, quantised
from tests.fixtures.refusals import refused

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")


def data_of(run: FinishedRun) -> DataModule:
    """Return the run's data."""
    return build_data(run.config, find_devices(run.config.hardware))


def rows_of(run: FinishedRun) -> list[Row]:
    """Return the rows that the run was tested on, without what it was to predict."""
    roles = input_columns(run.config.dataset)
    return [Row({role: row.values[role] for role in roles}, row.where) for row in data_of(run).splits["test"]]


def answers(run: FinishedRun, rows: list[Row], *, max_new_tokens: int = 12) -> list[Prediction]:
    done: list[int] = []
    found = predict(run, run.load_base(), rows, max_new_tokens=max_new_tokens, advance=done.append)
    assert sum(done) == len(rows)
    return found


def slow(*case: object) -> object:
    """Return a case of another model or method whose parts are each in a quick one."""
    return pytest.param(*case, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("bert", ("method=lora", *TRAINED)),
        ("bert", MANY_SETTINGS),  # an adapter in bf16
        ("bert", ("method=majority",)),
        ("gpt2", ("method=lora", *TRAINED)),
        ("gpt2", ("method=few_shot", "method.shot_tokens=32")),
        ("llama", ("method=prefix", *TRAINED)),
        ("t5", OTHER_SETTINGS),  # LoRA
        slow("bert", ("method=prefix", *TRAINED)),
        slow("llama", ("method=full", *TRAINED)),
        slow("llama", ("method=prompt_head", *TRAINED)),
        slow("t5", ("method=adapter", *TRAINED)),
        slow("t5", ("method=few_shot", "method.shot_tokens=32")),
        slow("gpt2", ("method=zero_shot",)),
    ],
)
def test_classes_are_those_of_the_runs_own_predictions(kind: str, settings: tuple[str, ...]) -> None:
    run = read_run(finished(kind, "text_files", *settings))
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
    [("bert", "lora"), slow("gpt2", "majority"), slow("llama", "prefix"), slow("bert", "adapter")],
)
def test_labels_are_those_of_the_runs_own_predictions(kind: str, method: str) -> None:
    settings = () if method == "majority" else TRAINED
    run = read_run(finished(kind, "multilabel_files", f"method={method}", *settings))
    expected = pq.read_table(run.directory / "predictions.parquet").to_pylist()
    found = answers(run, rows_of(run))
    assert len(found) == len(expected) > 10
    for one, other in zip(found, expected, strict=True):
        assert one["prediction"] == other["prediction"]
        assert list(one["scores"]) == ["even", "third"]
        assert list(one["scores"].values()) == pytest.approx(other["scores"], abs=1e-6)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("bert", ("method=full", *TRAINED, "dataset.columns.target=[score,low]")),
        ("gpt2", ("method=majority", "dataset.standardise=false")),
        slow("bert", ("method=lora", *TRAINED)),
        slow("llama", ("method=prompt", *TRAINED)),
        slow("gpt2", ("method=majority", "dataset.columns.target=[score,low]")),
    ],
)
def test_numbers_are_those_of_the_runs_own_predictions(kind: str, settings: tuple[str, ...]) -> None:
    run = read_run(finished(kind, "regression_files", *settings))
    expected = pq.read_table(run.directory / "predictions.parquet").to_pylist()
    found = answers(run, rows_of(run))
    assert len(found) == len(expected) > 10
    for one, other in zip(found, expected, strict=True):
        if "low" in settings[-1]:
            assert list(one["prediction"]) == ["score", "low"]
            one = {"prediction": list(one["prediction"].values())}
        assert one["prediction"] == pytest.approx(other["prediction"], rel=1e-5, abs=1e-4)
    if settings[0] == "method=majority":  # the mean of the training rows
        train = data_of(run).splits["train"]
        mean = sum(json.loads(row.values["target"])[0] for row in train) / len(train)
        value = found[0]["prediction"]
        assert (value["score"] if isinstance(value, dict) else value) == pytest.approx(mean, rel=1e-5)


def test_a_batch_changes_no_answer() -> None:
    run = read_run(finished("gpt2", "text_files", "method=lora", *TRAINED))
    rows = from_texts(
        ["The band played.", "Shares of the company rose by five per cent after it reported."], run.config.dataset
    )
    together = answers(run, rows)
    for row, one in zip(rows, together, strict=True):
        (alone,) = answers(run, [row])
        assert list(alone["scores"].values()) == pytest.approx(list(one["scores"].values()), abs=1e-6)


LEARNED = ("optim.lr=0.1", "budget.steps=20", "budget.max_length=96")  # so that answers are none of the base's
WRITING = {
    "gpt2 lora": partial(of_experiment, "gpt2_instruct_zh_lora"),
    "gpt2 prefix, running text": partial(of_experiment, "gpt2_wikitext_prefix"),
    "gpt2 few_shot": partial(
        *(finished, "gpt2", "instruction_files", "method=few_shot", "method.shot_tokens=48", "method.shots=1"),
        "budget.max_length=96",
    ),
    "llama lora, nf4": partial(quantised, "llama", "nf4"),
    "llama prefix": partial(finished, "llama", "instruction_files", "method=prefix", *LEARNED),
    "t5 prefix": partial(finished, "t5", "instruction_files", "method=prefix", *LEARNED),
    "t5 full": partial(finished, "t5", "instruction_files", "method=full", *TRAINED),
}
MORE_WRITING = [
    *(("gpt2", "adapter"), ("gpt2", "prompt")),
    *(("llama", name) for name in ("full", "p_tuning", "few_shot", "zero_shot")),
    *(("t5", name) for name in ("lora", "adapter", "prompt", "few_shot")),
]


@pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in WRITING.items()])
def test_what_is_written_is_what_the_run_finds_most_likely(make: Callable[[], Path]) -> None:
    written_is_most_likely(read_run(make()))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "method"), MORE_WRITING)
def test_more_that_is_written_is_what_the_run_finds_most_likely(kind: str, method: str) -> None:
    own = {"few_shot": ("method.shot_tokens=48", "method.shots=1"), "zero_shot": ()}
    given = ("budget.max_length=96", *own.get(method, ("optim.lr=0.02",)))
    written_is_most_likely(read_run(finished(kind, "instruction_files", f"method={method}", *given)))


def written_is_most_likely(run: FinishedRun) -> None:
    """Step by step through the method's own forward pass, which has no cache that could lose a prefix."""
    texts = ["The market fell on", "Shares of the company rose", "On Monday"]
    rows = rows_of(run)[:6] if run.task.name == "instruction" else from_texts(texts, run.config.dataset)
    found = answers(run, rows)
    assert found
    base = run.load_base()
    model = run.restore_model(base)
    prompts = response_prompts(run, base, rows) if run.task.kind.generates else text_prompts(base, rows)
    for prompt, one in zip(prompts, found, strict=True):
        written = _greedy(run, base, model, prompt.input_ids, {prompt.stop_id})
        assert one == {"answer": base.tokenizer.decode(written, skip_special_tokens=True).strip()}


@torch.inference_mode()
def _greedy(run: FinishedRun, base: Base, model: torch.nn.Module, prompt: list[int], ends: set[int]) -> list[int]:
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


def test_a_prompt_that_is_too_long_is_named() -> None:
    run = read_run(of_experiment("gpt2_instruct_zh_lora"))
    rows = from_texts(["short", "word " * 400], run.config.dataset)
    with refused(DataError, "--text 2", "256"):
        answers(run, rows)


def test_an_answer_stops_where_the_model_can_see_no_further() -> None:
    run = read_run(of_experiment("gpt2_wikitext_adapter"))
    (answer,) = answers(run, from_texts(["a " * 100], run.config.dataset), max_new_tokens=500)
    assert answer["answer"]


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_the_command_answers_a_file_row_by_row(suffix: str, tmp_path: Path) -> None:
    run = read_run(finished("bert", "text_files", "method=lora", *TRAINED))
    rows = rows_of(run)
    file = tmp_path / "news.txt"
    file.write_text("\n".join(row.values["text"] for row in rows) + "\n", encoding="utf-8")
    expected = answers(run, rows)
    output = tmp_path / f"answers.{suffix}"
    commands._predict_rows(run.directory, [], file, output, 8, False, [])
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


def test_the_command_prints_json_lines_for_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """And nothing else, not even a library's warning; as a process of its own in test_exporting.py."""
    directory = finished("bert", "text_files", "method=lora", *TRAINED)
    file = tmp_path / "texts.csv"
    file.write_text("text\nThe team won.\nShares fell.\n", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["ftlab", "predict", str(directory), "--file", str(file)])
    with pytest.raises(SystemExit) as end:
        app.main()
    assert not end.value.code
    said = capfd.readouterr()
    assert [set(json.loads(line)) for line in said.out.splitlines()] == [{"prediction", "probability", "scores"}] * 2
    assert said.err == ""


@pytest.mark.parametrize("returned", [[], [{"prediction": "a"}], None, [1, 2], ({"prediction": "a"},) * 2])
def test_a_function_that_does_not_predict_every_row_is_named(returned: object, monkeypatch: pytest.MonkeyPatch) -> None:
    run = read_run(finished("bert", "text_files", "method=lora", *TRAINED))
    monkeypatch.setattr("ftlab.inference.head_outputs.predict_class", lambda *_, **__: returned)
    with refused(ConfigError, "ftlab.inference.head_outputs.predict_class", "return"):
        predict(run, run.load_base(), rows_of(run)[:2], max_new_tokens=1, advance=lambda _: None)


def test_a_masked_language_model_predicts_nothing_and_is_not_even_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = finished("masked", "plain_text_files", "dataset.task=masked_lm", "method=lora", *TRAINED)
    monkeypatch.setattr(FinishedRun, "load_base", lambda *_: pytest.fail("the model was loaded"))
    with refused(UserError, "dataset.task=masked_lm", "ftlab export"):
        commands._predict_rows(folder, ["a text"], None, None, 8, False, [])
