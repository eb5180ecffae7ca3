"""Answers with words: read in the gap, wherever a model has it; and the floors that every method must beat."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ftlab.artifacts import probe, save_adapter
from ftlab.compare import compare, write
from ftlab.compare.sheet import sheet
from ftlab.data.cloze import word_tokens
from ftlab.errors import ConfigError, UserError
from ftlab.methods import build
from ftlab.methods.base import Batch, trainable_names
from ftlab.record import RunRecord
from ftlab.run import run
from ftlab.schema import RunConfig
from ftlab.tasks.spec import TEXT, Task
from tests.fixtures.checkpoints import tiny
from tests.fixtures.compose import composed
from tests.rows import classification_csv, instructions_jsonl
from tests.training import applied, batch_for, config_for, fresh_base, posed, task_named

HEADED = ("bert", "gpt2", "llama", "t5")


def config_of(method: str, kind: str, *overrides: str) -> RunConfig:
    """Return a method on a tiny model, the encoder with a masked-LM head of random weights."""
    return config_for(method, "masked" if kind == "bert" else kind, *overrides)


def words_at_the_gap(model: nn.Module, batch: Batch, words: list[int], kind: str) -> torch.Tensor:
    """Return the same as the method, from the logits of all positions."""
    logits = model(**{key: value for key, value in batch.items() if key not in ("labels", "index")}).logits
    if kind == "t5":
        return logits[:, 0, words]
    gaps = (
        batch["input_ids"] == 4
        if kind == "bert"
        else batch["attention_mask"].cumsum(1) == batch["attention_mask"].sum(1, keepdim=True)
    )
    return torch.stack([row[gap.nonzero()[0, 0]] for row, gap in zip(logits, gaps, strict=True)])[:, words]


@pytest.mark.parametrize("kind", HEADED)
def test_the_answer_is_read_in_the_gap(kind: str) -> None:
    config = config_of("zero_shot", kind)
    task = posed(config, task_named("classification"))
    method, model = applied(config, task)
    model.eval()
    batch = batch_for(task)
    words = word_tokens(fresh_base(config, task).tokenizer, task)
    inputs = {key: value for key, value in batch.items() if key not in ("labels", "index")}
    with torch.no_grad():
        logits = method.forward(model, inputs)
        torch.testing.assert_close(logits, words_at_the_gap(model, batch, words, kind))
        again = model(**inputs).logits  # the output layer is left as it was
    assert logits.shape == (4, 3)
    assert again.shape[1] == (1 if kind == "t5" else batch["input_ids"].shape[1])


def test_an_encoder_with_a_masked_lm_head_trains_it(tmp_path: Path) -> None:
    config = config_of("prompt_head", "bert")
    task = posed(config, task_named("classification"))
    method, model = applied(config, task)
    trains = trainable_names(model)
    assert trains == ["bert.embeddings.word_embeddings.weight", "cls.predictions.bias"]
    batch = batch_for(task)
    inputs = {key: value for key, value in batch.items() if key not in ("labels", "index")}
    optimizer = torch.optim.Adam(method.param_groups(model), lr=config.method.lr)
    losses = []
    for _ in range(8):
        loss = F.cross_entropy(method.forward(model, inputs), batch["labels"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    expected = probe(method, model, batch)
    save_adapter(method, model, tmp_path, trains)
    restored = method.restore(fresh_base(config, task, seed=1), task, tmp_path / "adapter")
    assert torch.equal(probe(method, restored, batch), expected)
    bare = {key: value[1:2, :-2] if value.ndim == 2 else value[1:2] for key, value in batch.items()}
    torch.testing.assert_close(probe(method, restored, bare), expected[1:2])


def test_a_headless_encoder_is_refused_with_what_fits() -> None:
    config = config_for("zero_shot", "bert")
    with pytest.raises(
        UserError, match=r"without a pretrained language-model head .* a decoder such as model=smollm2-135m"
    ):
        applied(config, posed(config, task_named("classification")))


@pytest.mark.parametrize("method", ["zero_shot", "few_shot", "prompt_head"])
@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{txt} is {mask}", r"method\.template has \{txt\}, which is no slot: did you mean \{text\}"),
        ("Topic: {mask}", r"it needs \{text\} and \{mask\}, once each"),
        ("{text} {text} {mask}", r"it needs \{text\} and \{mask\}, once each"),
        ("{text}", r"it needs \{text\} and \{mask\}, once each"),
    ],
)
def test_templates_that_cannot_be(method: str, template: str, message: str) -> None:
    config = composed(f"method={method}").method
    with pytest.raises(ConfigError, match=message):
        build(config.model_copy(update={"template": template}))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("method.words=good", r"method\.words='good' is not valid: give words as \{label: word\} or as a list"),
        ("method.words=3", r"method\.words=3 is not valid: give words"),
        ("method.words=[good,3]", r"method\.words=\['good', 3\] is not valid: give words"),
        ("method.words={a:' '}", r"method\.words=\{'a': ' '\} is not valid: give words"),
        ("method.shots=0", r"method\.shots=0 is not valid: give a number, 1 or more"),
        ("method.shot_tokens=many", r"method\.shot_tokens='many' is not valid"),
    ],
)
def test_settings_that_cannot_be(setting: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(composed("method=few_shot", setting).method)


def _adapt(*overrides: str, task: Task | None = None, architecture: Any = "decoder") -> Task:
    return build(composed(*overrides).method).adapt_task(task or task_named("classification"), architecture)


def test_words_of_labels() -> None:
    task = _adapt("method=zero_shot", "method.words={tech: technology}")
    assert task.cloze is not None
    assert task.cloze.words == ("business", "sport", "technology")
    numbers = replace(task_named("classification"), labels=("0", "1"))
    task = _adapt("method=zero_shot", "method.words={0: bad, 1: good}", task=numbers)
    assert task.cloze is not None
    assert task.cloze.words == ("bad", "good")
    task = _adapt("method=zero_shot", 'method.words=["好", "差"]', task=numbers)  # where Hydra takes no such keys
    assert task.cloze is not None
    assert task.cloze.words == ("好", "差")
    with pytest.raises(UserError, match=r"method\.words has 1 words: give one for each of 0, 1, in this order"):
        _adapt("method=zero_shot", "method.words=[bad]", task=numbers)
    with pytest.raises(UserError, match=r"method\.words has 'sports', which is no class: did you mean sport\?"):
        _adapt("method=zero_shot", "method.words={sports: games}")


def test_a_line_break_can_be_typed() -> None:
    task = _adapt("method=zero_shot", r'method.template="{text}\n{mask}"')
    assert task.cloze is not None
    assert task.cloze.template == "{text}\n{mask}"


def test_only_an_encoder_reads_what_is_behind_the_gap() -> None:
    behind = 'method.template="{mask} news: {text}"'
    assert _adapt("method=zero_shot", behind, architecture="encoder").auto_class == "AutoModelForMaskedLM"
    for architecture in ("decoder", "encoder-decoder"):
        with pytest.raises(UserError, match=r"method\.template has a text behind \{mask\}, where only an encoder"):
            _adapt("method=zero_shot", behind, architecture=architecture)


def test_tasks_that_a_method_does_not_pose() -> None:
    with pytest.raises(UserError, match=r"method=prompt_head is for classification, not for text: use method=head"):
        _adapt("method=prompt_head", task=TEXT)
    with pytest.raises(UserError, match="method=few_shot shows solved examples, and running text has none"):
        _adapt("method=few_shot", task=TEXT)
    with pytest.raises(UserError, match="method=majority counts classes, and the task text has none"):
        _adapt("method=majority", task=TEXT)
    assert _adapt("method=zero_shot", task=TEXT) == TEXT


def test_majority_answers_with_the_shares() -> None:
    config = config_for("majority", "bert")
    task = task_named("classification")
    method, model = applied(config, task)
    logits = method.forward(model, batch_for(task, examples=2))
    torch.testing.assert_close(logits.exp(), torch.tensor([[0.5, 0.3, 0.2]] * 2))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("local")
    classification_csv(folder / "rows.csv")
    instructions_jsonl(folder / "rows.jsonl")
    return folder


def run_tiny(method: str, folder: Path, directory: Path, *overrides: str, dataset: str = "text_files") -> RunRecord:
    file = {"text_files": "rows.csv", "instruction_files": "rows.jsonl"}[dataset]
    config = composed(
        f"method={method}",
        "model=hf",
        f"model.name={tiny('llama')}",
        f"dataset={dataset}",
        f"dataset.source.train={folder / file}",
        "budget=smoke",
        "tracker=none",
        *overrides,
    )
    return run(config, directory, [])


@pytest.mark.parametrize(
    ("method", "dataset", "kept"),
    [
        ("majority", "text_files", ["answer.json"]),
        ("zero_shot", "text_files", []),
        ("zero_shot", "instruction_files", []),
        ("few_shot", "text_files", ["demonstrations.json"]),
        ("few_shot", "instruction_files", ["demonstrations.json"]),
    ],
)
def test_a_floor_is_measured_untrained(
    method: str, dataset: str, kept: list[str], folder: Path, tmp_path: Path
) -> None:
    settings = ["method.shots=2", "method.shot_tokens=40"] if method == "few_shot" else []
    longer = ["budget.max_length=128"] if dataset == "instruction_files" else []
    record = run_tiny(method, folder, tmp_path, *settings, *longer, dataset=dataset)
    assert record.status == "completed"
    assert (record.parameters.trainable, record.trainable) == (0, [])
    assert (record.cost.train_s, record.cost.optimizer_steps, record.cost.examples_seen) == (0.0, 0, 0)
    assert record.cost.peak_memory_bytes is None
    assert record.cost.eval_s > 0
    assert {name: check.status for name, check in record.checks.items()} == {"reload": "passed"}
    assert set(record.metrics[record.task]) == {"val", "test"}
    files = sorted((tmp_path / "adapter").iterdir())
    assert [file.name for file in files] == kept
    assert record.parameters.adapter_bytes == sum(file.stat().st_size for file in files)
    if method == "few_shot":
        assert len(json.loads(files[0].read_text(encoding="utf-8"))) == 2


def test_trained_and_untrained_runs_stand_in_one_table(folder: Path, tmp_path: Path) -> None:
    run_tiny("majority", folder, tmp_path / "majority")
    run_tiny("prompt_head", folder, tmp_path / "prompt_head", "method.words={money: bank, other: film}")
    comparison = compare([tmp_path])
    (table,) = comparison.tables
    assert table.warnings == ()
    content = sheet(table)
    rows = {line.method: dict(zip(content.headings[1:], line.cells, strict=True)) for line in content.lines}
    assert set(rows) == {"majority", "prompt_head"}
    measured = [heading for heading in content.headings if heading.startswith(("training time", "examples/s", "peak"))]
    assert len(measured) == 3
    for heading in measured:
        assert rows["majority"][heading].value is None
        assert rows["prompt_head"][heading].value is not None
    assert rows["majority"]["trainable parameters"].text == "0 (0 %)"
    assert write(comparison, tmp_path)  # the report too
