"""What is written in a batch of different lengths is what is written for each alone."""

import pytest
import torch

from ftlab import methods
from ftlab.data.instruction import InstructionData
from ftlab.models import Base
from ftlab.tasks import generation
from ftlab.tasks.generation import Prompt, continued
from tests.data.test_many_turns import data
from tests.training import config_for, fresh_base, posed, task_named

ASKED = [
    "Hi",
    "What is the capital of France?",
    "把下面的句子翻译成英文。今天天气很好。",
    "She beat the champion " * 3,
    "Hi",
]


def made(kind: str, method_name: str) -> tuple[torch.nn.Module, Base, object, list[Prompt]]:
    config = config_for(method_name, kind)
    task = posed(config, task_named("instruction"))
    base = fresh_base(config, task)
    method = methods.build(config.method)
    model = method.apply(base, task).eval()
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):  # so that answers depend on what is asked
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number)) * 0.3)
    module = data([{"prompt": text, "response": "x"} for text in ASKED], max_length=128)
    assert isinstance(module, InstructionData)
    module.pose(base.tokenizer, task=task, decoder_start=0)
    questions = [q for q in module.questions(base.tokenizer, module.splits["test"]) if q is not None]
    assert len({len(question.read) for question in questions}) > 3
    return model, base, method, [Prompt(q.read, q.end, q.opening) for q in questions]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *((kind, name) for kind in ("gpt2", "llama", "t5") for name in ("lora", "prefix", "prompt")),
        ("llama", "adapter"),
    ],
)
@torch.inference_mode()
def test_a_batch_changes_no_answer(kind: str, name: str) -> None:
    model, base, method, prompts = made(kind, name)
    done: list[int] = []
    together = continued(model, base, method, prompts, max_new_tokens=10, batch_size=4, advance=done.append)
    alone = [continued(model, base, method, [one], max_new_tokens=10, batch_size=1)[0] for one in prompts]
    assert together == alone
    assert together[0] == together[4]
    assert len(set(together)) > 1
    assert sum(done) == len(prompts)


@torch.inference_mode()
def test_where_the_model_can_see_no_further_an_answer_ends() -> None:
    model, base, method, prompts = made("gpt2", "lora")
    limit = generation.room(base, method)
    long = Prompt((prompts[1].read * 99)[: limit - 2], prompts[1].end, [])
    full = Prompt((prompts[1].read * 99)[:limit], prompts[1].end, [])
    written = continued(model, base, method, [prompts[0], long, full], max_new_tokens=30, batch_size=3)
    assert written[0] == continued(model, base, method, [prompts[0]], max_new_tokens=30, batch_size=1)[0]
    assert written[2] == ""


@torch.inference_mode()
def test_what_a_template_opens_answers_with_is_no_part_of_them() -> None:
    model, base, _, (first, *_) = made("gpt2", "lora")
    (whole,) = generation._written(model, base, [first], 6, encoded=False)
    opened = Prompt(first.read, first.end, whole[:2])
    assert list(generation._written(model, base, [opened], 6, encoded=False)) == [whole[2:]]
    other = Prompt(first.read, first.end, [whole[0], whole[1] + 1])
    assert list(generation._written(model, base, [other], 6, encoded=False)) == [whole[1:]]
