import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model

from ftlab.config.groups import ModelConfig, QuantConfig
from ftlab.config.task import Task
from ftlab.core.errors import UserError
from ftlab.models import Base, base_weight_bytes, head_names, load_base_model
from tests.fixtures.checkpoints import tiny
from tests.fixtures.refusals import refused
from tests.fixtures.tasks import CLASSIFICATION, TEXT
from tests.tiny import KINDS

# PEFT 0.21 asks for it by the name that Transformers 5.23 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

LABELS = replace(CLASSIFICATION, labels=("a", "b", "c"))
SEQ2SEQ = replace(TEXT, head=replace(TEXT.head, auto_class="AutoModelForSeq2SeqLM", peft_type="SEQ_2_SEQ_LM"))
TARGETS = {"bert": ["query", "value"], "gpt2": ["c_attn"], "llama": ["q_proj", "v_proj"], "t5": ["q", "v"]}
CASES = [*((kind, LABELS) for kind in KINDS), ("gpt2", TEXT), ("llama", TEXT), ("t5", SEQ2SEQ)]


def loaded(folder: Path, task: Task, quant: str) -> Base:
    torch.manual_seed(1)
    return load_base_model(ModelConfig(name=str(folder)), task, QuantConfig(name=quant))


@pytest.mark.parametrize("quant", ["nf4", "int8"])
@pytest.mark.parametrize(("kind", "task"), CASES, ids=[f"{kind}-{task.head.auto_class}" for kind, task in CASES])
def test_quantised_base_trains_a_lora(kind: str, task: Task, quant: str) -> None:
    base = loaded(tiny(kind), task, quant)
    full = loaded(tiny(kind), task, "none")
    assert base_weight_bytes(base.model) < base_weight_bytes(full.model)
    types = {name: parameter.dtype for name, parameter in base.model.named_parameters()}
    assert {torch.uint8, torch.int8} & set(types.values())
    heads = head_names(base.model)
    assert heads == head_names(full.model)
    for name in heads:  # the head is kept exact, and quantising draws no random numbers
        assert torch.equal(base.model.get_parameter(name), full.model.get_parameter(name))

    model = get_peft_model(base.model, LoraConfig(task_type=task.head.peft_type, target_modules=TARGETS[kind], r=2))
    batch = base.tokenizer(["The bank raised its rate.", "The team won."], padding=True, return_tensors="pt")
    labels = torch.tensor([0, 2]) if task.labels else batch["input_ids"]
    model(**batch, labels=labels).loss.backward()
    up = [parameter.grad for name, parameter in model.named_parameters() if "lora_B" in name]
    assert up
    assert all(grad is not None and grad.abs().sum() > 0 for grad in up)


@pytest.mark.parametrize("double", [True, False])
def test_the_size_of_a_quantised_base_is_that_of_its_tensors(double: bool) -> None:
    torch.manual_seed(1)
    quant = QuantConfig(name="nf4", double_quant=double)
    model = load_base_model(ModelConfig(name=str(tiny("llama"))), TEXT, quant).model
    kept = [*model.parameters(), *model.buffers()]
    states = [parameter.quant_state for parameter in model.parameters() if hasattr(parameter, "quant_state")]
    assert states
    for state in states:
        kept += [state.absmax, state.code, *([state.offset, state.state2.absmax, state.state2.code] if double else [])]
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in kept}
    assert base_weight_bytes(model) == sum(storages.values())


def test_quantised_logits_stay_close() -> None:
    bases = {quant: loaded(tiny("llama"), TEXT, quant) for quant in ("none", "nf4", "int8")}
    batch = bases["none"].tokenizer(["The bank raised its rate."], return_tensors="pt")
    with torch.no_grad():
        logits = {quant: base.model.eval()(**batch).logits for quant, base in bases.items()}
    scale = logits["none"].std()
    assert 0 < (logits["int8"] - logits["none"]).abs().mean() < 0.1 * scale
    assert 0 < (logits["nf4"] - logits["none"]).abs().mean() < 0.3 * scale


def test_weight_bytes_count_shared_tensors_once() -> None:
    model = loaded(tiny("gpt2"), TEXT, "none").model
    assert model.lm_head.weight is model.transformer.wte.weight
    expected = sum(tensor.numel() * tensor.element_size() for tensor in [*model.parameters(), *model.buffers()])
    assert base_weight_bytes(model) == expected


@pytest.mark.parametrize("quant", ["nf4", "int8"])
def test_a_validation_changes_neither_results_nor_gradients(quant: str) -> None:
    base = loaded(tiny("llama"), TEXT, quant)
    torch.manual_seed(2)
    model = get_peft_model(base.model, LoraConfig(task_type=TEXT.head.peft_type, target_modules=["q_proj"], r=2))
    batch = base.tokenizer(["The bank raised its rate."], return_tensors="pt")

    def gradients() -> list[torch.Tensor]:
        model.zero_grad()
        model(**batch, labels=batch["input_ids"]).loss.backward()
        return [parameter.grad.clone() for name, parameter in model.named_parameters() if "lora_B" in name]

    before = gradients()
    model.eval()
    with torch.no_grad():
        validated = model(**batch).logits
    model.train()
    # On CPUs bitsandbytes does not round activations to int8 in evaluation.
    torch.testing.assert_close(model(**batch).logits, validated, rtol=0, atol={"nf4": 0.0, "int8": 0.02}[quant])
    after = gradients()
    assert len(before) == 2
    assert all(torch.equal(old, new) for old, new in zip(before, after, strict=True))


@pytest.mark.parametrize("used", [False, True])
def test_the_scales_of_int8_follow_the_weights(used: bool) -> None:
    base = loaded(tiny("llama"), TEXT, "int8")
    model = base.model.eval()
    batch = base.tokenizer(["The bank raised its rate."], return_tensors="pt")
    with torch.no_grad():
        expected = loaded(tiny("llama"), TEXT, "int8").model.eval()(**batch).logits
        if used:
            model(**batch)
        left = [parameter.data for parameter in model.parameters()]
        model._apply(torch.clone)  # what `to` does with another device
        for data in left:
            data.zero_()  # nobody may read what lies on the old one
        assert torch.equal(model(**batch).logits, expected)


@pytest.mark.parametrize("package", ["bitsandbytes", "accelerate"])
def test_missing_package_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == package else find(name, *rest))
    with refused(UserError, "quant=nf4", f"pip install {package}", "quant=none"):
        loaded(tiny("bert"), LABELS, "nf4")
