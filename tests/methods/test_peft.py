"""PEFT's methods through one class."""

import json
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from torch import nn
from transformers.pytorch_utils import Conv1D

from ftlab import methods
from ftlab.core.errors import ConfigError, UserError
from ftlab.methods.base import trainable_names
from ftlab.methods.partial import Full
from ftlab.methods.peft import target_modules
from ftlab.models.quiet import quiet
from ftlab.models.size import parameter_count
from ftlab.models.structure import attention_projections, head_modules
from ftlab.train.artifacts import probe_logits, save_adapter
from tests.fixtures.compose import composed
from tests.fixtures.refusals import refused
from tests.training import applied, batch_for, config_for, fresh_base, task_for_model, task_named

TASKS = ("classification", "instruction")


def test_the_adapter_loads_with_plain_peft(tmp_path: Path) -> None:
    task = task_named("classification")
    config = config_for("lora", "bert")
    method, model = applied(config, task)
    expected = probe_logits(method, model, batch_for(task))
    save_adapter(method, model, tmp_path, trainable_names(model))
    plain = PeftModel.from_pretrained(fresh_base(config, task, seed=3).model, str(tmp_path / "adapter"))
    assert torch.equal(probe_logits(method, plain, batch_for(task)), expected)


def test_the_adapter_names_no_path_of_this_machine(tmp_path: Path) -> None:
    task = task_named("classification")
    method, model = applied(config_for("lora", "bert"), task)
    save_adapter(method, model, tmp_path, trainable_names(model))
    saved = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert str(tmp_path) not in json.dumps(saved)


def test_equal_seeds_give_equal_heads_whatever_the_method() -> None:
    task = task_named("classification")
    heads = []
    for name in ("lora", "prefix", "full"):
        _, model = applied(config_for(name, "bert"), task, seed=5)
        heads.append(
            next(
                value
                for key, value in model.named_parameters()
                if key.endswith("classifier.weight") or key.endswith("classifier.modules_to_save.default.weight")
            )
        )
    assert torch.equal(heads[0], heads[1])
    assert torch.equal(heads[0], heads[2])


def test_the_new_head_counts_once() -> None:
    task = task_named("classification")
    full = parameter_count(applied(config_for("full", "bert"), task)[1])
    lora = parameter_count(applied(config_for("lora", "bert"), task)[1])
    adapter = 2 * 2 * (8 * 32 + 32 * 8)  # two layers, query and value, A and B of rank 8
    head = 32 * 3 + 3
    assert lora.total == full.total + adapter
    assert lora.trainable == adapter + head


def test_quantised_parameters_are_counted_unpacked() -> None:
    task = task_named("instruction")
    plain = parameter_count(applied(config_for("lora", "llama"), task)[1])
    packed = parameter_count(applied(config_for("lora", "llama", "quant=nf4"), task)[1])
    assert packed == plain


def test_modules_that_are_not_there_are_named() -> None:
    config = config_for("lora", "bert", "+method.config.target_modules=[q_proj]")
    with refused(UserError, "LoraConfig", "BertForSequenceClassification", "No modules were targ", "method=lora"):
        applied(config, task_named("classification"))


ALL = [("bert", "classification"), *((kind, task) for kind in ("gpt2", "llama", "t5") for task in TASKS)]


@pytest.mark.parametrize("target", ["attention", "all-linear"])
@pytest.mark.parametrize(("kind", "task_name"), ALL)
def test_a_target_is_every_such_layer_and_never_the_head(kind: str, task_name: str, target: str) -> None:
    config = config_for("lora", kind, f"method.target={target}")
    task = task_for_model(config, task_named(task_name))
    base = fresh_base(config, task)
    heads = head_modules(base.model)
    assert heads
    linear = [name for name, module in base.model.named_modules() if isinstance(module, nn.Linear | Conv1D)]
    inner = [name for name in linear if not f"{name}.".startswith(tuple(f"{head}." for head in heads))]
    expected = inner if target == "all-linear" else attention_projections(base.model)
    _, model = applied(config, task)
    assert isinstance(model, PeftModel)
    assert model.base_model.targeted_module_names == expected
    assert len(expected) == {"attention": {"bert": 8, "gpt2": 4, "llama": 8, "t5": 24}[kind]}.get(target, len(inner))


def test_names_are_full_ones_or_their_last_parts() -> None:
    first = "bert.encoder.layer.0.attention.output.dense"
    config = config_for("lora", "bert", f"method.target=[{first},query]")
    _, model = applied(config, task_named("classification"))
    assert isinstance(model, PeftModel)
    queries = [f"bert.encoder.layer.{layer}.attention.self.query" for layer in range(2)]
    assert sorted(model.base_model.targeted_module_names) == sorted([first, *queries])


@pytest.mark.parametrize("name", ["valve", "classifier"])
def test_a_name_that_matches_no_layer_is_told(name: str) -> None:
    config = config_for("lora", "bert", f"method.target=[query,{name}]")
    with refused(UserError, "method.target", name, "BertForSequenceClassification", "value"):
        applied(config, task_named("classification"))


@pytest.mark.parametrize(
    ("overrides", "culprits"),
    [
        (["method=lora", "method.target=atention"], ("method.target=atention", "attention", "[atention]")),
        (["method=lora", "method.target=[]"], ("method.target=[]", "[query, value]")),
        (["method=lora", "method.target=3"], ("method.target=3", "[query, value]")),
        (
            ["method=lora", "method.target=attention", "+method.config.target_modules=[q]"],
            ("method.target", "method.config.target_modules"),
        ),
        (
            ["method=lora", "method.target=attention", "method.config={_target_: peft.PromptTuningConfig}"],
            ("method.target", "PromptTuningConfig"),
        ),
        (["method=lora", "method.config={_target_: builtins.dict}"], ("method.config", "_target_", "peft.LoraConfig")),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(overrides: list[str], culprits: tuple[str, ...]) -> None:
    target = overrides[-1].partition("_target_: ")[2].rstrip("}")
    config = composed(*(overrides[:-1] if target else overrides)).method
    if target:
        config = config.model_copy(update={"config": {"_target_": target}})
    with refused(ConfigError, *culprits):
        methods.build_method(config)


def test_attention_is_needed_where_it_is_named() -> None:
    with refused(UserError, "method.target=attention", "Sequential"):
        target_modules("attention", nn.Sequential(nn.Linear(2, 2)))


def test_the_new_head_of_t5_trains_and_is_saved(tmp_path: Path) -> None:
    task = task_named("classification")
    method, model = applied(config_for("lora", "t5"), task)
    trains = trainable_names(model)
    save_adapter(method, model, tmp_path, trains)
    saved = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    assert len([name for name in trains if "classification_head.modules_to_save" in name]) == 4
    assert len([name for name in saved if "classification_head" in name]) == 4


def test_pissa_starts_as_the_base_with_its_principal_part_moved() -> None:
    task = task_named("instruction")
    config = config_for("pissa", "llama")
    base = fresh_base(config, task)
    name = "model.layers.0.self_attn.q_proj"
    weight = base.model.get_submodule(name).weight.detach().clone()
    method = methods.build_method(config.method)
    before = probe_logits(method, base.model, batch_for(task))
    model = method.apply(base, task)
    layer = model.get_submodule(f"base_model.model.{name}")
    torch.testing.assert_close(probe_logits(method, model, batch_for(task)), before, rtol=1e-4, atol=1e-5)
    left = torch.linalg.svdvals(layer.base_layer.weight)
    torch.testing.assert_close(left[:24], torch.linalg.svdvals(weight)[8:], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("quant", ["nf4", "int8"])
def test_pissa_refuses_a_quantised_base(quant: str) -> None:
    config = config_for("pissa", "llama", f"quant={quant}")
    with refused(UserError, "LoraConfig", "LlamaForCausalLM", "PiSSA under float32", "method=lora"):
        applied(config, task_named("instruction"))


def test_a_quantised_base_of_half_precision_is_prepared_for_loading_as_for_training(tmp_path: Path) -> None:
    task = task_named("instruction")
    config = config_for("qlora", "llama", "model.dtype=bfloat16")
    method, model = applied(config, task)
    expected = probe_logits(method, model, batch_for(task))
    save_adapter(method, model, tmp_path, trainable_names(model))
    restored = method.restore(fresh_base(config, task, seed=1), task, tmp_path / "adapter")
    assert torch.equal(probe_logits(method, restored, batch_for(task)), expected)


def test_vera_saves_what_trained_and_finds_the_rest_by_its_seed(tmp_path: Path) -> None:
    task = task_named("classification")
    method, model = applied(config_for("vera", "bert"), task)
    save_adapter(method, model, tmp_path, trainable_names(model))
    saved = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    assert {name.rpartition(".")[2] for name in saved} == {"vera_lambda_b", "vera_lambda_d", "weight", "bias"}
    assert len(saved) == 2 * 2 * 2 + 2  # two vectors, two layers, query and value; and the head


@pytest.mark.parametrize(("method", "quant"), [("qlora", "nf4"), ("qlora_int8", "int8")])
def test_a_method_brings_its_quantisation_and_holds_on_to_it(method: str, quant: str) -> None:
    assert composed(f"method={method}").quant.name == quant
    with refused(ConfigError, f"method={method}", f"quant={quant}", "quant=none"):
        composed(f"method={method}", "quant=none")


def test_an_argument_that_peft_does_not_know_is_named() -> None:
    with refused(ConfigError, "method=lora", "rank"):
        method = composed("method=lora").method
        methods.build_method(method.model_copy(update={"config": {**method.config, "rank": 3}}))


@pytest.mark.parametrize(
    ("kind", "target"),
    [("gpt2", "c_attn,lm_head"), ("gpt2", "wte"), ("gpt2", "wte,lm_head"), ("llama", "lm_head"), ("t5", "q,lm_head")],
)
def test_tied_embeddings_are_merged_apart(kind: str, target: str, tmp_path: Path) -> None:
    """An adapter of one of the two must not change the other, in memory or once saved and loaded."""
    config = config_for("lora", kind, f"method.target=[{target}]")
    task = task_for_model(config, task_named("instruction"))
    method, model = applied(config, task)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    batch = batch_for(task)
    expected = probe_logits(method, model, batch)
    merged = method.merge(model)
    torch.testing.assert_close(probe_logits(Full(), merged, batch), expected, rtol=1e-4, atol=1e-4)
    with quiet():
        merged.save_pretrained(tmp_path)
        loaded = type(merged).from_pretrained(tmp_path)
    torch.testing.assert_close(probe_logits(Full(), loaded, batch), expected, rtol=1e-4, atol=1e-4)
