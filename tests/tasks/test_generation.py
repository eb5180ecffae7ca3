"""Generation: a batch of different lengths gives the same texts as each prompt alone."""

import pytest
import torch

from ftlab import methods
from ftlab.data.instruction import InstructionData
from ftlab.methods.base import TuningMethod
from ftlab.models import Base
from ftlab.tasks import generation
from ftlab.tasks.generation import GenerationPrompt, generate_texts
from tests.data.prompting.test_many_turns import data
from tests.training import config_for, fresh_base, task_for_model, task_named

ASKED = [
    "Hi",
    "What is the capital of France?",
    "把下面的句子翻译成英文。今天天气很好。",
    "She beat the champion " * 3,
    "Hi",
]


def made(kind: str, method_name: str) -> tuple[torch.nn.Module, Base, object, list[GenerationPrompt]]:
    config = config_for(method_name, kind)
    task = task_for_model(config, task_named("instruction"))
    base = fresh_base(config, task)
    method = methods.build_method(config.method)
    model = method.apply(base, task).eval()
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):  # so that answers depend on what is asked
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number)) * 0.3)
    module = data([{"prompt": text, "response": "x"} for text in ASKED], max_length=128)
    assert isinstance(module, InstructionData)
    module.prepare_encoding(base.tokenizer, task=task, decoder_start=0)
    questions = [q for q in module.prompts_with_references(base.tokenizer, module.splits["test"]) if q is not None]
    assert len({len(question.input_ids) for question in questions}) > 3
    return model, base, method, [GenerationPrompt(q.input_ids, q.stop_id, q.opening_ids) for q in questions]


@torch.inference_mode()
def count_tokens(model: torch.nn.Module, base: Base, method: TuningMethod, prompt: GenerationPrompt, limit: int) -> int:
    """Return how many tokens greedy decoding generates, one forward pass over all tokens for each."""
    stops, written = {prompt.stop_id, base.tokenizer.eos_token_id}, list[int]()
    while len(written) < limit and not stops & set(written):
        decoder = [base.model.config.decoder_start_token_id, *written] if base.model.config.is_encoder_decoder else None
        ids = torch.tensor([prompt.input_ids if decoder else [*prompt.input_ids, *written]])
        batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        logits = method.forward(model, batch | ({"decoder_input_ids": torch.tensor([decoder])} if decoder else {}))
        written.append(int(logits[0, -1].argmax()))
    return len(written)


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
    counted: list[int] = []
    steps: list[float] = []
    together = generate_texts(
        *(model, base, method, prompts),
        max_new_tokens=10,
        batch_size=4,
        advance=done.append,
        advance_by_tokens=steps.append,
        count_tokens=counted.append,
    )
    alone = [generate_texts(model, base, method, [one], max_new_tokens=10, batch_size=1)[0] for one in prompts]
    assert together == alone
    assert together[0] == together[4]
    assert len(set(together)) > 1
    assert sum(done) == len(prompts) == pytest.approx(sum(steps))
    assert len(steps) > len(done) + 1  # it is told of after tokens, too
    assert len(counted) == len(done)
    assert sum(counted) == sum(count_tokens(model, base, method, prompt, 10) for prompt in prompts)


@torch.inference_mode()
def test_where_the_model_can_see_no_further_an_answer_ends() -> None:
    model, base, method, prompts = made("gpt2", "lora")
    limit = generation.max_prompt_tokens(base, method)
    long = GenerationPrompt((prompts[1].input_ids * 99)[: limit - 2], prompts[1].stop_id, [])
    full = GenerationPrompt((prompts[1].input_ids * 99)[:limit], prompts[1].stop_id, [])
    written = generate_texts(model, base, method, [prompts[0], long, full], max_new_tokens=30, batch_size=3)
    assert written[0] == generate_texts(model, base, method, [prompts[0]], max_new_tokens=30, batch_size=1)[0]
    assert written[2] == ""


@torch.inference_mode()
def test_what_a_template_opens_answers_with_is_no_part_of_them() -> None:
    model, base, _, (first, *_) = made("gpt2", "lora")
    steps = generation._StepCounter(1, lambda _: None)
    ((whole, generated),) = generation._generate_batch(model, base, [first], 6, steps)
    assert generated == 6
    opened = GenerationPrompt(first.input_ids, first.stop_id, whole[:2])
    assert generation._generate_batch(model, base, [opened], 6, steps) == [(whole[2:], 6)]
    other = GenerationPrompt(first.input_ids, first.stop_id, [whole[0], whole[1] + 1])
    assert generation._generate_batch(model, base, [other], 6, steps) == [(whole[1:], 6)]
    stopping = GenerationPrompt(first.input_ids, whole[2], [])
    stop = whole.index(whole[2])
    assert generation._generate_batch(model, base, [stopping], 6, steps) == [(whole[:stop], stop + 1)]
