"""Refusals of soft prompts, one sentence each."""

from pathlib import Path
from typing import Any

import pytest

from ftlab import methods
from ftlab.core.errors import ConfigError, UserError
from ftlab.methods.soft_prompts import Prompt
from ftlab.train.run import run
from tests.fixtures.checkpoints import tiny
from tests.fixtures.compose import composed
from tests.fixtures.finished_runs import rows_for
from tests.fixtures.refusals import refused
from tests.training import config_for, fresh_base, task_for_model, task_named

METHODS = ("prefix", "prompt", "p_tuning", "p_tuning_v2")


@pytest.mark.parametrize(
    ("overrides", "culprits"),
    [
        (["method=prefix", "method.virtual_tokens=0"], ("method.virtual_tokens=0", "1")),
        (["method=p_tuning_v2", "method.virtual_tokens=null"], ("method.virtual_tokens", "1")),
        (["method=prefix", "method.projection=true"], ("method.projection=True", "1")),
        (["method=p_tuning", "method.hidden_size=-1"], ("method.hidden_size=-1", "1")),
        (["method=p_tuning", "method.encoder=GRU"], ("method.encoder=GRU", "LSTM, MLP")),
        (["method=prompt", "method.init=zeros"], ("method.init=zeros", "random, text, vocab")),
        (["method=prompt", "method.init=text"], ("method.init=text", "method.text")),
        (["method=prompt", "method.text=Sort"], ("method.init=text", "method.text")),
        (["method=prefix", "method.mlp_lr_scale=-1"], ("method.mlp_lr_scale=-1", "0")),
        (["method=prompt", "method.head_lr=0"], ("method.head_lr=0", "0")),
        (["method=prompt", "method.frozen=2"], ("method.frozen=2", "true", "false")),
    ],
)  # fmt: skip
def test_settings_are_checked(overrides: list[str], culprits: tuple[str, ...]) -> None:
    with refused(ConfigError, *culprits):
        methods.build_method(composed(*overrides).method)


@pytest.mark.parametrize("method", METHODS)
def test_encoder_decoders_that_classify_are_refused(method: str) -> None:
    with refused(UserError, "encoder-decoder", "method=lora", "model=minilm"):
        task_for_model(config_for(method, "t5"), task_named("classification"))


def test_a_task_without_a_head_is_referred_to_prefix_tuning() -> None:
    with refused(UserError, "instruction", "method=prefix"):
        task_for_model(config_for("p_tuning_v2", "llama"), task_named("instruction"))


def test_text_of_nothing_is_refused() -> None:
    task = task_named("classification")
    base = fresh_base(config_for("prompt", "bert"), task)
    with refused(UserError, "method.text=' '"):
        Prompt(virtual_tokens=3, init="text", text=" ").apply(base, task)


@pytest.mark.parametrize("overrides", [["method=prompt"], ["method=prefix"], ["method=prompt", "method.frozen=true"]])
def test_texts_that_leave_no_position_for_the_prompt_are_refused(overrides: list[str], tmp_path: Path) -> None:
    """The tiny model sees 256 positions."""
    settings: list[Any] = [
        "model=hf", f"model.name={tiny('bert')}", "dataset=text_files", "tracker=none", "budget=smoke",
        f"dataset.source.train={rows_for('text_files')}", "method.virtual_tokens=20",
    ]  # fmt: skip
    with refused(UserError, "budget.max_length=236", "256", "20", "237"):
        run(composed(*settings, *overrides, "budget.max_length=237"), tmp_path / "run", [])
