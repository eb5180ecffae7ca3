"""Reference model: the base as it was, whatever has been trained since."""

import pytest
import torch

from ftlab.core.batch import model_inputs
from ftlab.methods.reference import build_reference_model
from ftlab.models.flops import count_matmul_params
from tests.training import applied, batch_for, config_for, fresh_base, task_for_model, task_named

SECOND_BASE = {"lora": False, "prefix": False, "adapter": False, "full": True, "bitfit": True, "pissa": True}
CASES = [
    *[(name, "bert", "classification") for name in SECOND_BASE],
    *[(name, "gpt2", "instruction") for name in SECOND_BASE],
]


@pytest.mark.parametrize(("name", "kind", "task_name"), CASES)
def test_its_logits_are_those_of_the_base_after_training_too(name: str, kind: str, task_name: str) -> None:
    config = config_for(name, kind, "model.dropout=0.5")
    task = task_for_model(config, task_named(task_name))
    batch = model_inputs(batch_for(task))
    loaded = fresh_base(config, task).model
    with torch.no_grad():
        expected = loaded.eval()(**batch).logits
    method, model = applied(config, task)
    model.train()
    trains = {n for n, parameter in model.named_parameters() if parameter.requires_grad}
    reference = build_reference_model(method, model, batch, lambda: fresh_base(config, task))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1)
    graphs: list[bool] = []
    reference.model.register_forward_pre_hook(lambda *_: graphs.append(torch.is_grad_enabled()))
    logits = reference.logits(batch)
    assert torch.equal(logits, expected), "the head and what the method trains are those of before, without dropout"
    assert not logits.requires_grad
    assert not any(graphs), "no graph is built"
    assert SECOND_BASE[name] is not any(parameter.requires_grad for parameter in reference.model.parameters())
    assert model.training
    assert {n for n, parameter in model.named_parameters() if parameter.requires_grad} == trains
    assert (reference.weight_bytes > 0) is SECOND_BASE[name]
    assert (reference.model is model) is not SECOND_BASE[name]
    assert reference.matmul_params >= count_matmul_params(loaded).forward
