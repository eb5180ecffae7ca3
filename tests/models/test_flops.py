"""Estimated arithmetic follows what is multiplied and what trains."""

import pytest

from ftlab.models.flops import count_matmul_params, inference_flops, training_flops
from ftlab.models.size import parameter_count
from tests.training import applied, config_for, task_for_model, task_named


def test_where_everything_trains_a_token_costs_six_times_the_parameters() -> None:
    assert training_flops(1000, 1000, 10) == 6 * 1000 * 10
    assert training_flops(1000, 10, 10) == (4 * 1000 + 2 * 10) * 10
    assert training_flops(1000, 10, 10, backward_params=10) == (2 * 1000 + 4 * 10) * 10
    assert inference_flops(1000, 10) == 2 * 1000 * 10


@pytest.mark.parametrize("kind", ["bert", "gpt2", "llama"])
def test_what_trains_decides_what_the_gradient_passes_through(kind: str) -> None:
    found = {}
    for method in ("full", "lora", "head"):
        config = config_for(method, kind)
        _, model = applied(config, task_for_model(config, task_named("classification")))
        found[method] = count_matmul_params(model)
        assert 0 < found[method].forward < parameter_count(model).total, "embeddings are looked up"
    assert found["full"].backward == found["full"].forward
    assert found["full"].trained > 0.9 * found["full"].forward
    assert 0.5 * found["lora"].forward < found["lora"].backward <= found["lora"].forward
    assert found["lora"].trained < 0.5 * found["full"].trained
    assert found["head"].forward == found["full"].forward
    assert found["head"].backward == pytest.approx(found["head"].trained, rel=0.2)
    assert found["head"].backward < 0.2 * found["head"].forward


def test_virtual_tokens_send_the_gradient_through_all_of_the_model() -> None:
    config = config_for("prompt", "bert")
    method, model = applied(config, task_for_model(config, task_named("classification")))
    assert method.num_virtual_tokens
    assert count_matmul_params(model, virtual_tokens=True).backward == count_matmul_params(model).forward
    assert count_matmul_params(model).backward < count_matmul_params(model).forward


def test_a_tied_output_layer_is_multiplied() -> None:
    config = config_for("lora", "gpt2")
    _, model = applied(config, task_for_model(config, task_named("instruction")))
    output = model.get_output_embeddings().weight
    inside = sum(p.numel() for n, p in model.named_parameters() if p.ndim > 1 and "wte" not in n and "wpe" not in n)
    assert count_matmul_params(model).forward == inside + output.numel()
