"""One experiment in the test's own process, over the settings that a user may combine."""

import weakref
from pathlib import Path
from typing import Any

import pytest

from ftlab import artifacts
from ftlab.errors import UserError
from ftlab.paths import conf_dir
from ftlab.record import RunRecord
from ftlab.run import run
from ftlab.tasks.base import TaskModule
from tests.fixtures.checkpoints import tiny
from tests.fixtures.compose import composed
from tests.rows import classification_csv, instructions_jsonl, plain_text

EXPERIMENTS = sorted(path.stem for path in (conf_dir() / "experiment").glob("*.yaml"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("local")
    classification_csv(folder / "rows.csv")
    instructions_jsonl(folder / "rows.jsonl")
    plain_text(folder / "rows.txt")
    return folder


def run_tiny(folder: Path, kind: str, dataset: str, directory: Path, *overrides: str) -> RunRecord:
    """Run a few steps of a tiny model on local rows."""
    file = {"text_files": "rows.csv", "instruction_files": "rows.jsonl", "plain_text_files": "rows.txt"}[dataset]
    settings = [
        "model=hf",
        f"model.name={tiny(kind)}",
        f"dataset={dataset}",
        f"dataset.source.train={folder / file}",
    ]
    return run(composed(*settings, "budget=smoke", "tracker=none", "budget.max_length=64", *overrides), directory, [])


def all_passed(record: RunRecord) -> bool:
    """Whether every check passed; `adapter_off` is there of methods that can be switched off."""
    made = set(record.checks) - {"adapter_off"}
    return made == {"gradients", "frozen_unchanged", "reload"} and all(
        check.status == "passed" for check in record.checks.values()
    )


def test_there_are_experiments() -> None:
    named = {"bert_imdb_full", "gpt2_wikitext_lora_int8", "gpt2_wikitext_prefix", "gpt2_wikitext_adapter"}
    assert named | {"gpt2_instruct_zh_lora"} <= set(EXPERIMENTS)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_runs_on_a_tiny_model_and_local_rows(name: str, folder: Path, tmp_path: Path) -> None:
    kind = "bert" if name.startswith("bert") else "gpt2"
    dataset = {"imdb": "text_files", "wikitext": "plain_text_files", "instruct": "instruction_files"}[
        name.split("_")[1]
    ]
    record = run_tiny(folder, kind, dataset, tmp_path, f"experiment={name}")
    assert record.status == "completed"
    assert all_passed(record), record.checks


@pytest.mark.parametrize(
    "overrides",
    [
        ("optim.accumulate=4",),
        ("optim.schedule=cosine", "optim.warmup=0.5"),
        ("optim.schedule=constant", "optim=sgd"),
        ("optim=adafactor",),
        ("hardware.precision=bf16-mixed",),
        ("model.dropout=0.3",),
        ("model.gradient_checkpointing=true",),
        ("tracker=tensorboard",),
        ("budget.steps=null", "budget.epochs=2", "budget.validations=3", "budget.patience=1"),
    ],
)
def test_training_settings(overrides: tuple[str, ...], folder: Path, tmp_path: Path) -> None:
    record = run_tiny(folder, "bert", "text_files", tmp_path, *overrides)
    assert record.status == "completed"
    assert all_passed(record), record.checks


@pytest.mark.parametrize(
    ("kind", "dataset"),
    [("t5", "text_files"), ("t5", "instruction_files"), ("gpt2", "text_files"), ("llama", "text_files")],
)
def test_every_kind_of_model_does_every_task_that_it_can(kind: str, dataset: str, folder: Path, tmp_path: Path) -> None:
    record = run_tiny(folder, kind, dataset, tmp_path)
    assert record.status == "completed"
    assert all_passed(record), record.checks


@pytest.mark.parametrize("method", ["full", "lora", "adapter", "zero_shot"])
def test_masked_language_modelling(method: str, folder: Path, tmp_path: Path) -> None:
    overrides = ("dataset.task=masked_lm", f"method={method}", "budget.validations=2")
    record = run_tiny(folder, "masked", "plain_text_files", tmp_path, *overrides)
    assert record.status == "completed"
    assert record.metrics["masked_lm"]["test"]["perplexity"].value > 1
    assert all(check.status == "passed" for check in record.checks.values()), record.checks
    again = run_tiny(folder, "masked", "plain_text_files", tmp_path / "again", *overrides)
    assert again.metrics == record.metrics


@pytest.mark.parametrize(
    ("kind", "method", "sentence"),
    [
        ("bert", "lora", "comes without a pretrained masked-language-model head"),
        ("gpt2", "lora", "what fits is an encoder that is published with its masked-language-model head"),
        ("masked", "prefix", "soft prompts are for classification and for models that write, not for masked_lm"),
        ("masked", "few_shot", "running text has none"),
        ("masked", "majority", "counts classes, and the task masked_lm has none"),
    ],
)
def test_what_does_not_fit_masked_language_modelling(
    kind: str, method: str, sentence: str, folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=sentence):
        run_tiny(folder, kind, "plain_text_files", tmp_path, "dataset.task=masked_lm", f"method={method}")


def test_less_padding_is_the_same_result(folder: Path, tmp_path: Path) -> None:
    settings = ("model.dropout=0.0", "method.config.lora_dropout=0.0", "optim.accumulate=2")
    plain, packed = (
        run_tiny(folder, "gpt2", "instruction_files", tmp_path / str(on), *settings, f"optim.packing={on}")
        for on in ("false", "true")
    )
    assert packed.metrics["instruction"]["test"]["loss"].value == pytest.approx(
        plain.metrics["instruction"]["test"]["loss"].value, rel=1e-5
    )
    assert packed.cost.tokens_seen == plain.cost.tokens_seen
    assert packed.cost.examples_seen == plain.cost.examples_seen
    assert 0 <= plain.cost.padding_share < 1
    grouped = run_tiny(folder, "gpt2", "instruction_files", tmp_path / "grouped", "optim.group_by_length=true")
    assert grouped.status == "completed"


def test_a_second_run_tokenizes_nothing_and_says_so(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FTLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("ftlab.data.token_cache._WORTH_KEEPING", 1)
    first = run_tiny(folder, "gpt2", "plain_text_files", tmp_path / "first", "method=lora", "hardware.num_workers=1")
    monkeypatch.setattr("ftlab.data.text.tokenized", None)
    second = run_tiny(folder, "gpt2", "plain_text_files", tmp_path / "second", "method=lora", "hardware.num_workers=1")
    lines = [line.strip() for line in capsys.readouterr().out.splitlines() if "tokenised" in line]
    assert lines == ["tokenised rows: stored in the cache", "tokenised rows: from the cache"]
    assert second.metrics == first.metrics
    assert second.fingerprint == first.fingerprint
    assert second.metrics["text"]["test"]["bits_per_byte"].value > 0


@pytest.mark.parametrize("quant", ["nf4", "int8"])
def test_lora_trains_on_a_quantised_base(quant: str, folder: Path, tmp_path: Path) -> None:
    plain = run_tiny(folder, "llama", "instruction_files", tmp_path / "plain")
    record = run_tiny(folder, "llama", "instruction_files", tmp_path / quant, f"quant={quant}")
    assert all_passed(record), record.checks
    assert record.parameters == plain.parameters
    assert record.cost.base_weight_bytes < plain.cost.base_weight_bytes


def test_a_longer_accumulation_is_the_same_step(folder: Path, tmp_path: Path) -> None:
    losses = [
        run_tiny(
            folder,
            "bert",
            "text_files",
            tmp_path / str(parts),
            f"optim.accumulate={parts}",
            "model.dropout=0.0",
            "method.config.lora_dropout=0.0",
        )
        .metrics["classification"]["test"]["loss"]
        .value
        for parts in (1, 4)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_the_same_seed_gives_the_same_result_and_another_one_does_not(folder: Path, tmp_path: Path) -> None:
    metrics = [
        run_tiny(folder, "bert", "text_files", tmp_path / str(number), f"seed={seed}").metrics
        for number, seed in enumerate((3, 3, 4))
    ]
    assert metrics[0] == metrics[1]
    assert metrics[0] != metrics[2]


def test_dropout_is_on_in_training_and_the_model_is_gone_before_the_reload(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}
    start, check = TaskModule.on_train_start, artifacts.check_reload

    def on_train_start(module: TaskModule[Any]) -> None:
        seen["modes"] = {child.training for child in module.model.modules()}
        seen["model"] = weakref.ref(module.model)
        start(module)

    def check_reload(*arguments: Any) -> Any:
        result = check(*arguments)
        seen["alive"] = seen["model"]() is not None
        return result

    monkeypatch.setattr(TaskModule, "on_train_start", on_train_start)
    monkeypatch.setattr("ftlab.run.check_reload", check_reload)
    run_tiny(folder, "bert", "text_files", tmp_path)
    assert seen["modes"] == {True}
    assert seen["alive"] is False


def test_half_precision_on_the_cpu_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"hardware\.precision=16-mixed needs a GPU"):
        run_tiny(folder, "bert", "text_files", tmp_path, "hardware.precision=16-mixed", "hardware.accelerator=cpu")


def test_hardware_that_is_not_there_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="hardware=gpu needs 64 CUDA device"):
        run_tiny(folder, "bert", "text_files", tmp_path, "hardware=gpu", "hardware.devices=64", "optim.batch_size=64")
