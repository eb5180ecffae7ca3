"""Work of a method in training."""

import pytest

from ftlab.methods.work import TrainingWork
from tests.training import applied, config_for, task_for_model, task_named


@pytest.mark.parametrize(("method", "virtual"), [("prompt", True), ("prefix", False), ("lora", False)])
def test_virtual_tokens_are_work_unless_they_are_in_the_cache(method: str, virtual: bool) -> None:
    config = config_for(method, "gpt2")
    tuning, model = applied(config, task_for_model(config, task_named("instruction")))
    work = TrainingWork.of(config.method, tuning, model)
    assert work.virtual_tokens == (tuning.num_virtual_tokens if virtual else 0)
    assert (tuning.num_virtual_tokens > 0) is (method != "lora")
    assert work.params.forward > 0
