"""Soft prompts: where they start, that they are seen, and that their positions never are."""

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from torch import nn
from transformers import T5Config, T5ForConditionalGeneration

from ftlab.core.batch import model_inputs
from ftlab.methods.base import trainable_names
from ftlab.methods.prompt_parts import prefix_shape
from ftlab.models import Base
from ftlab.train.artifacts import probe_logits, save_adapter
from tests.training import applied, batch_for, config_for, fresh_base, task_for_model, task_named

METHODS = ("prefix", "prompt", "p_tuning", "p_tuning_v2")
TEXT = "The team won the cup final"


def encoder(model: nn.Module) -> nn.Module:
    assert isinstance(model, PeftModel)
    found = model.prompt_encoder["default"]
    assert isinstance(found, nn.Module)
    return found


def prompt_of(model: nn.Module) -> torch.Tensor:
    assert isinstance(model, PeftModel)
    with torch.no_grad():  # as when it is saved
        return model.get_prompt_embedding_to_save("default")


def text_ids(base: Base) -> list[int]:
    ids: list[int] = base.tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    assert len(ids) > 3
    return ids


def embeddings(base: Base, ids: list[int]) -> torch.Tensor:
    return base.model.get_input_embeddings()(torch.tensor(ids)).detach()


@pytest.mark.parametrize("length", [-2, 0, 3])
def test_a_prompt_from_text_is_cut_or_repeated(length: int) -> None:
    task = task_named("instruction")
    config = config_for("prompt", "llama")
    base = fresh_base(config, task)
    ids = text_ids(base)
    config = config_for(
        "prompt", "llama", "method.init=text", f"method.text={TEXT}",
        f"method.virtual_tokens={len(ids) + length}",
    )  # fmt: skip
    wanted = embeddings(base, (ids + ids)[: len(ids) + length])
    assert torch.equal(prompt_of(applied(config, task)[1]), wanted)


def test_a_prompt_from_the_vocabulary_holds_embeddings_of_ordinary_tokens() -> None:
    task = task_named("instruction")
    config = config_for("prompt", "gpt2", "method.virtual_tokens=40")
    base = fresh_base(config, task)
    table = embeddings(base, list(range(len(base.tokenizer))))
    rows = [int((table == vector).all(-1).nonzero()[0, 0]) for vector in prompt_of(applied(config, task)[1])]
    assert len(set(rows)) > 20
    assert not set(rows) & set(base.tokenizer.all_special_ids)


def test_a_random_prompt_is_uniform_as_in_the_paper() -> None:
    config = config_for("prompt", "bert", "method.init=random")
    prompt = prompt_of(applied(config, task_named("classification"))[1])
    assert 0.45 < prompt.abs().max() <= 0.5


@pytest.mark.parametrize(
    "setting", ["prefix", "prefix method.projection=8", "prompt", "prompt method.init=random", "p_tuning",
                "p_tuning method.encoder=MLP", "p_tuning_v2"],
)  # fmt: skip
def test_the_seed_decides_the_initial_value_and_the_control_keeps_it(setting: str) -> None:
    method, *overrides = setting.split()
    task = task_named("classification")
    config = config_for(method, "bert", *overrides)
    prompts = [prompt_of(applied(config, task, seed=seed)[1]) for seed in (0, 0, 1)]
    assert torch.equal(prompts[0], prompts[1])
    assert not torch.equal(prompts[0], prompts[2])
    control = config_for(method, "bert", "method.frozen=true", *overrides)
    frozen, model = applied(control, task)
    assert torch.equal(prompt_of(model), prompts[0])
    assert trainable_names(model)
    assert all("classifier.modules_to_save" in name for name in trainable_names(model))
    assert not frozen.needs_training


@pytest.mark.parametrize("kind", ["gpt2", "llama", "t5"])
@pytest.mark.parametrize("method", ["prefix", "prompt", "p_tuning"])
def test_a_control_on_a_language_model_trains_nothing_and_is_saved(method: str, kind: str, tmp_path: Path) -> None:
    config = config_for(method, kind, "method.frozen=true")
    task = task_for_model(config, task_named("instruction"))
    frozen, model = applied(config, task)
    assert not trainable_names(model)
    assert not frozen.needs_training
    batch = batch_for(task)
    expected = probe_logits(frozen, model, batch)
    save_adapter(frozen, model, tmp_path, [])
    restored = frozen.restore(fresh_base(config, task, seed=1), task, tmp_path / "adapter")
    assert torch.equal(probe_logits(frozen, restored, batch), expected)


@pytest.mark.parametrize(
    ("kind", "task_name"),
    [
        *((kind, task) for kind in ("gpt2", "llama") for task in ("classification", "instruction")),
        ("t5", "instruction"),
    ],
)
def test_a_prompt_of_words_is_those_words_before_the_text(kind: str, task_name: str) -> None:
    """Nothing is lost, shifted or masked: the base itself, given the words, has the same logits."""
    config = config_for("prompt", kind)
    task = task_for_model(config, task_named(task_name))
    base = fresh_base(config, task)
    words = text_ids(base)
    config = config_for(
        "prompt", kind, "method.init=text", f"method.text={TEXT}", f"method.virtual_tokens={len(words)}"
    )
    method, model = applied(config, task)
    batch = model_inputs(batch_for(task))
    examples = len(batch["input_ids"])
    ahead = torch.tensor(words).expand(examples, -1)
    spelled = {
        **batch,
        "input_ids": torch.cat([ahead, batch["input_ids"]], dim=1),
        "attention_mask": torch.cat([torch.ones_like(ahead), batch["attention_mask"]], dim=1),
    }
    with torch.inference_mode():
        logits = method.forward(model.eval(), batch)
        plain = base.model.eval()(**spelled).logits
    _assert_same(logits, plain if plain.shape == logits.shape else plain[:, len(words) :], batch)


@pytest.mark.parametrize("task_name", ["classification", "instruction"])
@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_a_prefix_of_words_is_those_words_before_the_text(kind: str, task_name: str) -> None:
    """The same with the keys and values that the base computes for the words: no cache drops them."""
    config = config_for("prefix", kind)
    task = task_for_model(config, task_named(task_name))
    base = fresh_base(config, task)
    words = text_ids(base)
    method, model = applied(config_for("prefix", kind, f"method.virtual_tokens={len(words)}"), task)
    batch = model_inputs(batch_for(task))
    ahead = torch.tensor(words).expand(len(batch["input_ids"]), -1)
    with torch.inference_mode():
        cache = base.model.eval()(input_ids=ahead[:1], use_cache=True).past_key_values
        pairs = [tensor[0] for layer in cache.layers for tensor in (layer.keys, layer.values)]  # (heads, words, size)
        table = torch.stack(pairs).permute(2, 0, 1, 3).flatten(1)  # (words, 2 x layers x heads x size)
        encoder(model).get_submodule("embedding").weight.copy_(table)
        logits = method.forward(model.eval(), batch)
        plain = base.model(
            input_ids=torch.cat([ahead, batch["input_ids"]], dim=1),
            attention_mask=torch.cat([torch.ones_like(ahead), batch["attention_mask"]], dim=1),
        ).logits
    _assert_same(logits, plain if plain.shape == logits.shape else plain[:, len(words) :], batch)


def _assert_same(logits: torch.Tensor, plain: torch.Tensor, batch: dict[str, torch.Tensor]) -> None:
    if logits.ndim == 3 and "decoder_input_ids" not in batch:  # at padded positions logits mean nothing
        logits, plain = (value[batch["attention_mask"].bool()] for value in (logits, plain))
    torch.testing.assert_close(logits, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("kind", "task_name"), [("bert", "classification"), ("t5", "instruction")])
@pytest.mark.parametrize("method_name", ["prefix", "prompt", "p_tuning"])
def test_the_prompt_is_seen(method_name: str, kind: str, task_name: str) -> None:
    config = config_for(method_name, kind)
    task = task_for_model(config, task_named(task_name))
    batch = batch_for(task)
    method, model = applied(config, task)
    before = probe_logits(method, model, batch)
    with torch.no_grad():
        for parameter in encoder(model).parameters():
            parameter.add_(torch.randn_like(parameter))
    assert (probe_logits(method, model, batch) - before).abs().max() > 1e-4


@pytest.mark.parametrize(
    ("setting", "kind", "task_name"),
    [
        ("prompt", "bert", "classification"),
        ("prompt", "llama", "classification"),
        ("p_tuning method.encoder=LSTM", "gpt2", "classification"),
        ("p_tuning", "llama", "instruction"),
        ("p_tuning", "t5", "instruction"),
        ("p_tuning_v2", "bert", "classification"),
        ("p_tuning_v2", "gpt2", "classification"),
        ("prefix method.projection=16", "llama", "classification"),
        ("prefix method.projection=16", "gpt2", "instruction"),
        ("prefix method.projection=16", "t5", "instruction"),
    ],
)
def test_plain_peft_loads_the_adapter_without_its_encoder(
    setting: str, kind: str, task_name: str, tmp_path: Path
) -> None:
    """Of an example without padding, since plain PEFT pools a decoder's last position, padding or not."""
    name, *overrides = setting.split()
    config = config_for(name, kind, *overrides)
    task = task_for_model(config, task_named(task_name))
    method, model = applied(config, task)
    batch = batch_for(task)
    expected = probe_logits(method, model, batch)
    example = {key: value[:1] for key, value in model_inputs(batch).items()}
    assert example["attention_mask"].all()
    with torch.inference_mode():
        single = method.forward(model.eval(), example)
    save_adapter(method, model, tmp_path, trainable_names(model))
    plain = PeftModel.from_pretrained(fresh_base(config, task, seed=3).model, str(tmp_path / "adapter"))
    with torch.inference_mode():
        logits = plain.eval()(**example).logits
    assert torch.equal(logits[:, -single.shape[1] :] if logits.ndim == 3 else logits, single)
    assert torch.equal(probe_logits(method, plain, batch), expected)
    saved = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    assert torch.equal(saved.pop("prompt_embeddings"), prompt_of(model))
    assert all("score" in key or "classifier" in key for key in saved)


def test_a_batch_does_not_change_the_prefix_of_an_mlp() -> None:
    config = config_for("prefix", "gpt2", "method.projection=16")
    _, model = applied(config, task_named("instruction"))
    one, four = (encoder(model)(torch.arange(30).expand(count, -1)) for count in (1, 4))
    assert four.shape[0] == 4
    assert all(torch.equal(example, one[0]) for example in four)


@pytest.mark.parametrize("quant", ["nf4", "int8"])
@pytest.mark.parametrize("method_name", ["prefix", "prompt", "p_tuning"])
def test_a_quantised_base_learns_a_prompt(method_name: str, quant: str, tmp_path: Path) -> None:
    task = task_named("instruction")
    config = config_for(method_name, "llama", f"quant={quant}")
    method, model = applied(config, task)
    batch = batch_for(task)
    method.forward(model.train(), model_inputs(batch)).logsumexp(-1).sum().backward()
    gradients = [parameter.grad for parameter in encoder(model).parameters()]
    assert gradients
    assert all(gradient is not None and gradient.any() for gradient in gradients)
    expected = probe_logits(method, model, batch)
    save_adapter(method, model, tmp_path, trainable_names(model))
    restored = method.restore(fresh_base(config, task, seed=1), task, tmp_path / "adapter")
    assert torch.equal(probe_logits(method, restored, batch), expected)


@pytest.mark.parametrize(
    ("setting", "scale"),
    [
        ("prefix", 1.0),
        ("prefix method.projection=8", 0.03),
        ("prompt", 1.0),
        ("p_tuning", 1.0),
        ("p_tuning method.encoder=MLP", 0.1),
        ("p_tuning_v2", 1.0),
    ],
)
def test_prompt_and_head_have_rates_of_their_own(setting: str, scale: float) -> None:
    name, *overrides = setting.split()
    config = config_for(name, "bert", "method.head_lr=0.5", *overrides)
    method, model = applied(config, task_named("classification"))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = {names[id(one)]: group for group in method.param_groups(model) for one in group["params"]}
    assert set(groups) == set(trainable_names(model))
    assert {group["lr_scale"] for key, group in groups.items() if "prompt_encoder" in key} == {scale}
    assert {group["lr"] for key, group in groups.items() if "classifier" in key} == {0.5}


def test_a_prefix_of_an_encoder_decoder_has_the_shape_of_the_decoders_attention() -> None:
    """Heads times head size is not the model's width in T5-small, and encoder and decoder may differ in depth."""
    shape = {"d_model": 32, "num_heads": 3, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_decoder_layers": 2}
    model = T5ForConditionalGeneration(T5Config(vocab_size=16, decoder_start_token_id=0, **shape))
    assert prefix_shape(model) == {"num_layers": 2, "num_attention_heads": 3, "token_dim": 24}
