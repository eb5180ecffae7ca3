"""One experiment in the test's own process, over the settings that a user may combine."""

import csv
import weakref
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from ftlab import methods, models
from ftlab.comparison import compare
from ftlab.comparison.render.details import run_details
from ftlab.config.task import Task
from ftlab.core.errors import UserError
from ftlab.data.encoding import token_cache
from ftlab.inference.export import export
from ftlab.inference.finished_run import read_run
from ftlab.methods.partial import BitFit
from ftlab.models import Base, base_weight_bytes
from ftlab.models.size import parameter_count
from ftlab.record import RunRecord, read_record
from ftlab.tasks.base import TaskModule
from ftlab.train import artifacts
from ftlab.train.artifacts import ReloadFailed
from ftlab.train.run import run
from tests.fixtures.checkpoints import tiny
from tests.fixtures.compose import composed
from tests.fixtures.finished_runs import (
    EXPERIMENTS,
    MANY_SETTINGS,
    OTHER_SETTINGS,
    STILL,
    TRAINED,
    finished,
    of_experiment,
    proven,
    quantised,
    settings_for,
)
from tests.fixtures.refusals import refused
from tests.training import applied, config_for, fresh_base, task_for_model, task_named


def run_tiny(kind: str, dataset: str, directory: Path, *overrides: str) -> RunRecord:
    """Run a few steps of a tiny model on local rows."""
    return run(composed(*settings_for(kind, dataset), *overrides), directory, [])


def test_there_are_experiments() -> None:
    named = {"bert_imdb_full", "gpt2_wikitext_lora_int8", "gpt2_wikitext_prefix", "gpt2_wikitext_adapter"}
    assert named | {"gpt2_instruct_zh_lora"} <= set(EXPERIMENTS)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_runs_on_a_tiny_model_and_local_rows(name: str) -> None:
    """Its run is asked and exported in tests/deploy."""
    record = proven(read_record(of_experiment(name)))
    chosen = composed(f"experiment={name}")
    assert (record.method, record.config["quant"]["name"]) == (chosen.method.name, chosen.quant.name)
    if name.split("_")[1] == "wikitext":
        assert record.metrics["text"]["test"]["bits_per_byte"].value > 0


def test_settings_that_do_not_touch_each_other() -> None:
    """Parts of a step, checkpointed and in bf16, under a schedule, over epochs with validations between them."""
    record = proven(read_record(finished("bert", "text_files", *MANY_SETTINGS)))
    assert record.hardware.precision == "bf16-mixed"
    assert record.cost.optimizer_steps == record.progress.step
    assert record.cost.examples_seen == 16 * record.cost.optimizer_steps
    assert record.budget.unit == "epochs"
    assert list((finished("bert", "text_files", *MANY_SETTINGS) / "logs" / "tensorboard").glob("events.*"))


@pytest.mark.parametrize(
    "overrides",
    [
        OTHER_SETTINGS,
        pytest.param(("optim=sgd", "optim.schedule=constant"), marks=pytest.mark.slow),
    ],
)
def test_other_optimizers(overrides: tuple[str, ...]) -> None:
    """Which one steps how is held in test_optim.py."""
    proven(read_record(finished("t5", "text_files", *overrides)))


@pytest.mark.parametrize(
    "method", ["lora", *(pytest.param(name, marks=pytest.mark.slow) for name in ("full", "zero_shot"))]
)
def test_a_second_run_is_the_same_and_encodes_nothing(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Masks, dropout, and the order of rows are the seed's; rows are read by a worker process."""
    settings = ("dataset.task=masked_lm", f"method={method}", "budget.validations=2", "hardware.num_workers=1")
    monkeypatch.setenv("FTLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("ftlab.data.encoding.token_cache._WORTH_KEEPING", 1)
    first = proven(run_tiny("masked", "plain_text_files", tmp_path / "first", *settings))
    monkeypatch.setattr("ftlab.data.text.MaskedTextData.encode_chunks", None)
    second = run_tiny("masked", "plain_text_files", tmp_path / "second", *settings)
    words = {words: state for state, words in token_cache._SOURCES.items()}
    found = [words.get(line.rpartition(": ")[2]) for line in capsys.readouterr().out.splitlines()]
    assert [state for state in found if state] == ["built", "loaded"]
    assert first.metrics["masked_lm"]["test"]["perplexity"].value > 1
    assert second.metrics == first.metrics
    assert second.fingerprint == first.fingerprint


@pytest.mark.parametrize(
    ("kind", "method", "culprits"),
    [
        ("bert", "lora", ("masked-language-model head", "dataset.task=masked_lm")),
        ("gpt2", "lora", ("masked_lm", "AutoModelForMaskedLM")),
        ("masked", "prefix", ("masked_lm", "method=lora")),
        ("masked", "few_shot", ("method=few_shot", "method=zero_shot")),
        ("masked", "majority", ("method=majority", "masked_lm", "method=zero_shot")),
    ],
)
def test_what_does_not_fit_masked_language_modelling(
    kind: str, method: str, culprits: tuple[str, ...], tmp_path: Path
) -> None:
    model = [f"model={tiny(kind)}"] if method == "lora" else []
    with refused(UserError, *culprits, *model):
        run_tiny(kind, "plain_text_files", tmp_path, "dataset.task=masked_lm", f"method={method}")


def test_less_padding_and_a_step_in_parts_are_the_same_result_and_another_seed_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run of the other seed is watched: dropout is on in training, and the model is gone before the reload."""
    plain = read_record(of_experiment("gpt2_instruct_zh_lora"))
    settings = ("experiment=gpt2_instruct_zh_lora", *STILL, "dataset.generate.rows=0")
    packed = run_tiny(
        *("gpt2", "instruction_files", tmp_path / "packed", *settings, "optim.packing=true", "optim.accumulate=4")
    )
    assert loss_of(proven(packed)) == pytest.approx(loss_of(plain), rel=1e-5)
    assert packed.cost.tokens_seen == plain.cost.tokens_seen
    assert packed.cost.examples_seen == plain.cost.examples_seen
    assert 0 <= plain.cost.padding_share < 1
    seen = watch_the_model(monkeypatch)
    other = run_tiny(*("gpt2", "instruction_files", tmp_path / "other", *settings, "seed=4"))
    assert loss_of(proven(other)) != pytest.approx(loss_of(plain), rel=1e-5)
    assert seen["modes"] == {True}
    assert seen["alive"] is False
    assert (seen["seed"], seen["order"]) == (4, 4), "dropout and the order of the rows are not the seed's"
    config = composed(*settings_for("gpt2", "instruction_files"), *settings, "seed=4")
    _, drawn = applied(config, task_for_model(config, task_named("instruction")), seed=4)
    weights = dict(drawn.named_parameters())
    assert seen["weights"]
    assert not [name for name, weight in seen["weights"].items() if not torch.equal(weight, weights[name])]


def loss_of(record: RunRecord) -> float:
    return record.metrics["instruction"]["test"]["loss"].value


def watch_the_model(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Note how training begins, and whether the model is there still when what was saved is loaded."""
    seen: dict[str, Any] = {}
    start, check = TaskModule.on_train_start, artifacts.check_reload

    def on_train_start(module: TaskModule[Any]) -> None:
        seen["modes"] = {child.training for child in module.model.modules()}
        seen["model"] = weakref.ref(module.model)
        seen["seed"] = torch.initial_seed()
        seen["order"] = module.trainer.datamodule.loading.seed
        parameters = dict(module.model.named_parameters())
        seen["weights"] = {name: parameters[name].detach().clone() for name in module.trainable}
        start(module)

    def check_reload(*arguments: Any) -> Any:
        result = check(*arguments)
        seen["alive"] = seen["model"]() is not None
        return result

    monkeypatch.setattr(TaskModule, "on_train_start", on_train_start)
    monkeypatch.setattr("ftlab.train.run.check_reload", check_reload)
    return seen


@pytest.mark.parametrize(
    ("error", "where", "status", "check"),
    [
        (None, "restore", "failed", "failed"),  # other weights are saved than those that were trained
        (FileNotFoundError("adapter/trainable.safetensors"), "restore", "failed", "failed"),
        (UserError("the file does not fit the model."), "restore", "failed", "failed"),
        (MemoryError("no memory for the saved weights"), "restore", "completed", "skipped"),
        (UserError("the base is gone."), "base", "completed", "skipped"),
    ],
)
def test_a_run_whose_saved_weights_are_not_the_trained_ones_is_no_success_and_keeps_its_metrics(
    error: Exception | None, where: str, status: str, check: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = models.load_base_model
    bases = 0

    def load_base_model(*arguments: Any) -> Base:
        nonlocal bases
        bases += 1
        if error and where == "base" and bases == 2:  # the one that is for the saved weights
            raise error
        return load(*arguments)

    def restore(method: BitFit, base: Base, task: Task, directory: Path) -> nn.Module:
        if error:
            raise error
        return method.apply(base, task)  # as it was before training

    monkeypatch.setattr(models, "load_base_model", load_base_model)
    monkeypatch.setattr(BitFit, "restore", restore)
    expectation = pytest.raises(ReloadFailed, match="bitfit") if status == "failed" else nullcontext()
    with expectation:
        run_tiny("bert", "text_files", tmp_path, "method=bitfit", *TRAINED)
    record = read_record(tmp_path)
    assert (record.status, record.checks["reload"].status) == (status, check)
    assert record.metrics["classification"]["test"]["loss"].value
    assert record.cost.train_s
    assert list((tmp_path / "adapter").iterdir())
    assert (tmp_path / "predictions.parquet").exists()
    assert [text for text in record.warnings if text.startswith(f"reload {check}")]
    if status == "failed":
        assert record.failure.type == "ReloadFailed"
        with pytest.raises(UserError, match="do not restore"):
            read_run(tmp_path)


def test_a_run_on_an_exported_model_says_which_run_made_it(tmp_path: Path) -> None:
    parent = read_run(finished("bert", "text_files", "method=lora", *TRAINED))
    assert parent.record.origin is None
    export(parent, tmp_path / "model", merge=True, with_base=None, log=lambda _: None)
    assert str(tiny("bert").parent) not in (tmp_path / "model" / "ftlab.json").read_text(), "it names no path"
    settings = (*settings_for("bert", "text_files"), f"model.name={tmp_path / 'model'}", "method=bitfit", *TRAINED)
    record = proven(run(composed(*settings), tmp_path / "run", []))
    assert record.origin.kind == "continued"
    assert record.origin.parent.run_id == parent.record.run_id
    assert record.origin.parent.fingerprint == parent.record.fingerprint
    assert record.origin.tool.name == "ftlab"
    assert "continued from" in run_details(compare([tmp_path / "run"]).runs[0], tmp_path).facts["origin"]


def test_what_is_tested_is_the_best_validation_and_not_the_last(tmp_path: Path) -> None:
    """Steps that are too long make each validation worse than the first."""
    # SGD, as Adam's first steps are the signs of gradients, rounding included where they should be zero
    settings = ("method=full", "optim=sgd", "optim.lr=10", "optim.schedule=constant", "optim.warmup=0")
    record = proven(run_tiny("bert", "text_files", tmp_path, *settings, "budget.validations=4"))
    with (tmp_path / "metrics.csv").open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["val/loss"]]
    validated, trained_s = ([float(row[name]) for row in rows] for name in ("val/loss", "cost/train_s"))
    assert len(validated) == 4
    assert min(validated) < validated[-1]
    assert record.metrics["classification"]["val"]["loss"].value == pytest.approx(min(validated), rel=1e-6)
    assert record.progress.best == pytest.approx(min(validated), rel=1e-6)
    assert record.cost.train_s == pytest.approx(trained_s[-1], rel=1e-6), "the test is no training"


def test_methods_have_the_same_dropout_and_the_same_base(tmp_path: Path) -> None:
    """However many random numbers a method draws; LoRA begins with the function of the base."""
    still = ("method.config.lora_dropout=0",)
    losses, sizes = [], set()
    for method, settings in (("full", ()), ("lora", still)):
        overrides = (f"method={method}", *settings, "model.dropout=0.1", "budget.steps=1", "budget.validations=1")
        record = run_tiny("bert", "text_files", tmp_path / method, *overrides)
        with (tmp_path / method / "metrics.csv").open(encoding="utf-8", newline="") as stream:
            losses += [float(row["train/loss"]) for row in csv.DictReader(stream) if row["train/loss"]]
        sizes.add(record.cost.base_weight_bytes)
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert len(losses) == 2
    assert len(sizes) == 1, "the base without what the method adds"


@pytest.mark.parametrize(
    ("kind", "quant"),
    [
        ("llama", "nf4"),
        ("gpt2", "int8"),
        pytest.param("llama", "int8", marks=pytest.mark.slow),
        pytest.param("gpt2", "nf4", marks=pytest.mark.slow),
    ],
)
def test_lora_trains_on_a_quantised_base(kind: str, quant: str) -> None:
    """As many parameters as on the plain base, which takes more memory."""
    record = proven(read_record(quantised(kind, quant)))
    config = config_for("lora", kind)
    task = task_for_model(config, task_named("instruction"))
    plain = fresh_base(config, task)
    assert record.cost.base_weight_bytes < base_weight_bytes(plain.model)
    counts = parameter_count(methods.build_method(config.method).apply(plain, task))
    assert (record.parameters.trainable, record.parameters.total) == (counts.trainable, counts.total)


def test_half_precision_on_the_cpu_is_refused(tmp_path: Path) -> None:
    with refused(UserError, "hardware.precision=16-mixed", "bf16-mixed", "32-true"):
        run_tiny("bert", "text_files", tmp_path, "hardware.precision=16-mixed", "hardware.accelerator=cpu")


def test_hardware_that_is_not_there_is_named(tmp_path: Path) -> None:
    with refused(UserError, "hardware=gpu", "64", str(torch.cuda.device_count())):
        run_tiny("bert", "text_files", tmp_path, "hardware=gpu", "hardware.devices=64", "optim.batch_size=64")
