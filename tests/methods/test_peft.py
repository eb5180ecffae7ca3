"""PEFT's methods through one class."""

import json
from pathlib import Path

import pytest
import torch
from peft import PeftModel

from ftlab import methods
from ftlab.artifacts import probe, save_adapter
from ftlab.errors import ConfigError, UserError
from ftlab.methods.base import trainable_names
from ftlab.models.size import parameter_count
from tests.configs import composed
from tests.training import applied, batch_for, config_for, fresh_base, task_named


def test_the_adapter_loads_with_plain_peft(tmp_path: Path) -> None:
    task = task_named("classification")
    config = config_for("lora", "bert", tmp_path)
    method, model = applied(config, task)
    expected = probe(method, model, batch_for(task))
    save_adapter(method, model, tmp_path, trainable_names(model))
    plain = PeftModel.from_pretrained(fresh_base(config, task, seed=3), str(tmp_path / "adapter"))
    assert torch.equal(probe(method, plain, batch_for(task)), expected)


def test_the_adapter_names_no_path_of_this_machine(tmp_path: Path) -> None:
    task = task_named("classification")
    method, model = applied(config_for("lora", "bert", tmp_path), task)
    save_adapter(method, model, tmp_path, trainable_names(model))
    saved = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert str(tmp_path) not in json.dumps(saved)


def test_equal_seeds_give_equal_heads_whatever_the_method(tmp_path: Path) -> None:
    task = task_named("classification")
    heads = []
    for name in ("lora", "prefix", "full"):
        _, model = applied(config_for(name, "bert", tmp_path), task, seed=5)
        heads.append(
            next(
                value
                for key, value in model.named_parameters()
                if key.endswith("classifier.weight") or key.endswith("classifier.modules_to_save.default.weight")
            )
        )
    assert torch.equal(heads[0], heads[1])
    assert torch.equal(heads[0], heads[2])


def test_the_new_head_counts_once(tmp_path: Path) -> None:
    task = task_named("classification")
    full = parameter_count(applied(config_for("full", "bert", tmp_path), task)[1])
    lora = parameter_count(applied(config_for("lora", "bert", tmp_path), task)[1])
    adapter = 2 * 2 * (8 * 32 + 32 * 8)  # two layers, query and value, A and B of rank 8
    head = 32 * 3 + 3
    assert lora.total == full.total + adapter
    assert lora.trainable == adapter + head


def test_quantised_parameters_are_counted_unpacked(tmp_path: Path) -> None:
    task = task_named("instruction")
    plain = parameter_count(applied(config_for("lora", "llama", tmp_path), task)[1])
    packed = parameter_count(applied(config_for("lora", "llama", tmp_path, "quant=nf4"), task)[1])
    assert packed == plain


def test_modules_that_are_not_there_are_named(tmp_path: Path) -> None:
    config = config_for("lora", "bert", tmp_path, "method.config.target_modules=[q_proj]")
    with pytest.raises(UserError, match=r"LoraConfig does not fit this model: No modules were targeted"):
        applied(config, task_named("classification"))


def test_an_argument_that_peft_does_not_know_is_named() -> None:
    with pytest.raises(ConfigError, match=r"method=lora cannot be built: .*rank"):
        methods.build(composed("method=lora", "+method.config.rank=3").method)
