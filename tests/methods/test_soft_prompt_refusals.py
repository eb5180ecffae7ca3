"""What soft prompts refuse, in one sentence each."""

from pathlib import Path
from typing import Any

import pytest

from ftlab import methods
from ftlab.errors import ConfigError, UserError
from ftlab.methods.soft_prompts import Prompt
from ftlab.run import run
from tests.fixtures.checkpoints import tiny
from tests.fixtures.compose import composed
from tests.rows import classification_csv
from tests.training import config_for, fresh_base, posed, task_named

METHODS = ("prefix", "prompt", "p_tuning", "p_tuning_v2")


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["method=prefix", "method.virtual_tokens=0"], r"method\.virtual_tokens=0 is not valid"),
        (["method=p_tuning_v2", "method.virtual_tokens=null"], r"method\.virtual_tokens is not set"),
        (["method=prefix", "method.projection=true"], r"method\.projection=True is not valid"),
        (["method=p_tuning", "method.hidden_size=-1"], r"method\.hidden_size=-1 is not valid"),
        (["method=p_tuning", "method.encoder=GRU"], r"method\.encoder=GRU is not valid: \(choices: LSTM, MLP"),
        (["method=prompt", "method.init=zeros"], r"method\.init=zeros is not valid: .*\(choices: random, text, vocab"),
        (["method=prompt", "method.init=text"], r"init=text and method\.text belong together"),
        (["method=prompt", "method.text=Sort"], r"init=text and method\.text belong together"),
        (["method=prefix", "method.mlp_lr_scale=-1"], r"method\.mlp_lr_scale=-1 is not valid"),
        (["method=prompt", "method.head_lr=0"], r"method\.head_lr=0 is not valid"),
        (["method=prompt", "method.frozen=2"], r"method\.frozen=2 is not valid"),
    ],
)  # fmt: skip
def test_settings_are_checked(overrides: list[str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        methods.build(composed(*overrides).method)


@pytest.mark.parametrize("method", METHODS)
def test_encoder_decoders_that_classify_are_refused(method: str) -> None:
    with pytest.raises(UserError, match=r"what fits is .*method=lora"):
        posed(config_for(method, "t5"), task_named("classification"))


def test_a_task_without_a_head_is_referred_to_prefix_tuning() -> None:
    with pytest.raises(UserError, match=r"what fits is method=prefix"):
        posed(config_for("p_tuning_v2", "llama"), task_named("instruction"))


def test_text_of_nothing_is_refused() -> None:
    task = task_named("classification")
    base = fresh_base(config_for("prompt", "bert"), task)
    with pytest.raises(UserError, match=r"method\.text=' ' has no token"):
        Prompt(virtual_tokens=3, init="text", text=" ").apply(base, task)


@pytest.mark.parametrize("overrides", [["method=prompt"], ["method=prefix"], ["method=prompt", "method.frozen=true"]])
def test_texts_that_leave_no_position_for_the_prompt_are_refused(overrides: list[str], tmp_path: Path) -> None:
    """The tiny model sees 256 positions."""
    config_for("prompt", "bert")
    settings: list[Any] = [
        "model=hf", f"model.name={tiny('bert')}", "dataset=text_files", "tracker=none", "budget=smoke",
        f"dataset.source.train={classification_csv(tmp_path / 'rows.csv')}", "method.virtual_tokens=20",
    ]  # fmt: skip
    with pytest.raises(UserError, match=r"set budget\.max_length=236, or fewer virtual tokens"):
        run(composed(*settings, *overrides, "budget.max_length=237"), tmp_path / "run", [])
