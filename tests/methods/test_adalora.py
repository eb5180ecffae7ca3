"""AdaLoRA's schedule, regulariser and files; that it trains and resumes is in the contract test."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from peft import AdaLoraModel, PeftModel
from safetensors.torch import load_file
from torch.utils.data import DataLoader

from ftlab import methods, tasks
from ftlab.core.errors import ConfigError, UserError
from ftlab.methods.base import TuningMethod, trainable_names
from ftlab.train.artifacts import probe_logits, save_adapter
from ftlab.train.optim import optimizer_factory
from tests.fixtures.compose import composed
from tests.fixtures.refusals import refused
from tests.training import applied, batch_for, config_for, fresh_base, task_named

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")
TASK = task_named("classification")
Trained = tuple[TuningMethod, PeftModel, Path]
MATRICES = 13  # linear layers of the tiny BERT: six in each of two blocks, and the pooler


def trained(
    tmp_path: Path, *overrides: str, steps: int = 10, accumulate: int = 1, callbacks: tuple[Any, ...] = ()
) -> tuple[TuningMethod, PeftModel, Any]:
    """Train AdaLoRA on the tiny BERT and return method, model and trainer."""
    config = config_for("adalora", "bert", *overrides)
    method, model = applied(config, TASK)
    assert isinstance(model, PeftModel)
    module = tasks.build_task(TASK, model, method, optimizer_factory(config.optim, total_steps=steps))
    trainer = Trainer(
        accelerator="cpu",
        max_steps=steps,
        accumulate_grad_batches=accumulate,
        logger=False,
        limit_val_batches=0,
        log_every_n_steps=1,
        callbacks=[*method.callbacks(), *callbacks],
        enable_checkpointing=bool(callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    loader = DataLoader([batch_for(TASK, seed=seed) for seed in range(steps * accumulate)], batch_size=None)
    trainer.fit(module, loader, loader)
    return method, model, trainer


def ranks(model: PeftModel) -> list[int]:
    return [int((value != 0).sum()) for name, value in model.named_parameters() if "lora_E" in name]


def test_the_budget_falls_to_the_target(tmp_path: Path) -> None:
    _, model, trainer = trained(tmp_path, steps=20)
    assert len(ranks(model)) == MATRICES
    assert sum(ranks(model)) == 8 * MATRICES
    assert len(set(ranks(model))) > 1  # by importance, not evenly
    assert trainer.callback_metrics["train/average_rank"] == 8
    config = model.peft_config["default"]
    assert (config.total_step, config.tinit, config.tfinal) == (20, 2, 10)


def test_importance_is_measured_once_per_optimizer_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    update = AdaLoraModel.update_and_allocate

    def counted(self: AdaLoraModel, global_step: int) -> None:
        seen.append(global_step)
        assert all(p.grad is not None for p in self.parameters() if p.requires_grad)
        update(self, global_step)

    monkeypatch.setattr(AdaLoraModel, "update_and_allocate", counted)
    trained(tmp_path, steps=4, accumulate=3)
    assert seen == [1, 2, 3, 4]


@pytest.fixture(scope="module")
def ten_steps(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Train once for the tests of files; returns method, model and the folder with the weights of every step."""
    folder = tmp_path_factory.mktemp("ten_steps")
    keep = ModelCheckpoint(folder / "kept", "{step}", every_n_train_steps=1, save_top_k=-1, save_weights_only=True)
    method, model, _ = trained(folder, callbacks=(keep,))
    return method, model, folder / "kept"


@pytest.fixture
def ten_steps_copy(ten_steps: Trained) -> Trained:
    """Return the same with a model that a test may change."""
    method, model, kept = ten_steps
    return method, deepcopy(model), kept


@pytest.mark.parametrize("step", [1, 3, 8])  # before the first cut, while cutting, after the last cut
def test_the_weights_of_any_step_load_as_they_were(step: int, ten_steps_copy: Trained, tmp_path: Path) -> None:
    method, model, kept = ten_steps_copy
    saved = torch.load(kept / f"step={step}.ckpt", weights_only=True)["state_dict"]
    model.load_state_dict({key.removeprefix("model."): value for key, value in saved.items()}, strict=False)
    left = ranks(model)
    assert (sum(left) == 8 * MATRICES) == (step == 8)
    expected = probe_logits(method, model, batch_for(TASK))
    save_adapter(method, model, tmp_path, trainable_names(model))
    config = config_for("adalora", "bert")

    file = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    assert [len(value) for name, value in file.items() if "lora_E" in name] == sorted_as(file, model, left)
    restored = method.restore(fresh_base(config, TASK, seed=1), TASK, tmp_path / "adapter")
    assert torch.equal(probe_logits(method, restored, batch_for(TASK)), expected)

    save_adapter(method, restored, tmp_path / "again", [])
    again = load_file(tmp_path / "again" / "adapter" / "adapter_model.safetensors")
    assert {name: value.shape for name, value in again.items()} == {name: value.shape for name, value in file.items()}


def sorted_as(file: dict[str, torch.Tensor], model: PeftModel, left: list[int]) -> list[int]:
    """Return the ranks in the order of the file's tensors."""
    names = [name.removesuffix(".default") for name, _ in model.named_parameters() if "lora_E" in name]
    by_name = dict(zip(names, left, strict=True))
    return [by_name[name] for name in file if "lora_E" in name]


@pytest.mark.filterwarnings("ignore:The following rank_pattern keys")  # PEFT's own, of its own file
def test_the_adapter_loads_with_plain_peft(ten_steps_copy: Trained, tmp_path: Path) -> None:
    method, model, _ = ten_steps_copy
    expected = probe_logits(method, model, batch_for(TASK))
    save_adapter(method, model, tmp_path, trainable_names(model))
    base = fresh_base(config_for("adalora", "bert"), TASK, seed=3)
    plain = PeftModel.from_pretrained(base.model, str(tmp_path / "adapter"))
    torch.testing.assert_close(probe_logits(method, plain, batch_for(TASK)), expected, rtol=1e-4, atol=1e-5)


def test_a_matrix_may_lose_all_its_ranks(ten_steps_copy: Trained, tmp_path: Path) -> None:
    method, model, _ = ten_steps_copy
    first = next(value for name, value in model.named_parameters() if "lora_E" in name)
    first.data.zero_()
    expected = probe_logits(method, model, batch_for(TASK))
    save_adapter(method, model, tmp_path, trainable_names(model))
    base = fresh_base(config_for("adalora", "bert"), TASK, seed=1)
    restored = method.restore(base, TASK, tmp_path / "adapter")
    assert torch.equal(probe_logits(method, restored, batch_for(TASK)), expected)


def test_the_regulariser_is_the_one_that_peft_adds_to_its_own_loss() -> None:
    method, model = applied(config_for("adalora", "bert"), TASK)
    batch = {key: value for key, value in batch_for(TASK).items() if key != "index"}
    model.eval()
    regularised = model(**batch).loss
    model.peft_config["default"].orth_reg_weight = 0.0
    penalty = method.regulariser(model)
    assert penalty is not None
    assert penalty > 0
    torch.testing.assert_close(penalty, regularised - model(**batch).loss)


def test_a_run_too_short_to_measure_anything_is_refused(tmp_path: Path) -> None:
    with refused(UserError, "method=adalora", "2", "1", "budget.steps"):
        trained(tmp_path, steps=1)


@pytest.mark.parametrize("steps", [2, 3])
def test_the_shortest_runs_still_reach_the_target(steps: int, tmp_path: Path) -> None:
    _, model, _ = trained(tmp_path, steps=steps)
    assert sum(ranks(model)) <= 8 * MATRICES


@pytest.mark.parametrize(
    ("override", "culprits"),
    [
        ("method.init_r=8", ("method.init_r=8", "method.target_r=8")),
        ("method.target_r=0", ("method.target_r=0", "1")),
        ("method.final=0.9", ("method.warmup=0.1", "method.final=0.9")),
        ("method.interval=0", ("method.interval=0", "1")),
        ("method.target=linear", ("method.target=linear", "all-linear")),
    ],
)
def test_settings_that_cannot_work_are_refused(override: str, culprits: tuple[str, ...]) -> None:
    with refused(ConfigError, *culprits):
        methods.build_method(composed("method=adalora", override).method)
