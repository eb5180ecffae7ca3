"""Texts of a language model, which are what the run finds most likely."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from ftlab.core.errors import DataError
from ftlab.inference.finished_run import FinishedRun, read_run
from ftlab.inference.generated import response_prompts, text_prompts
from ftlab.inference.inputs import from_texts
from ftlab.inference.predictions import TextPrediction
from ftlab.models import Base
from tests.fixtures.finished_runs import TRAINED, finished, of_experiment, quantised
from tests.fixtures.refusals import refused
from tests.inference.asking import answers, rows_of

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")

LEARNED = ("optim.lr=0.1", "budget.steps=20", "budget.max_length=96")  # so that answers are none of the base's
WRITING = {
    "gpt2 lora": partial(of_experiment, "gpt2_instruct_zh_lora"),
    "gpt2 prefix, running text": partial(of_experiment, "gpt2_wikitext_prefix"),
    "gpt2 few_shot": partial(
        *(finished, "gpt2", "instruction_files", "method=few_shot", "method.shot_tokens=48", "method.shots=1"),
        "budget.max_length=96",
    ),
    "llama lora, nf4": partial(quantised, "llama", "nf4"),
    "llama prefix": partial(finished, "llama", "instruction_files", "method=prefix", *LEARNED),
    "t5 prefix": partial(finished, "t5", "instruction_files", "method=prefix", *LEARNED),
    "t5 full": partial(finished, "t5", "instruction_files", "method=full", *TRAINED),
}
MORE_WRITING = [
    *(("gpt2", "adapter"), ("gpt2", "prompt")),
    *(("llama", name) for name in ("full", "p_tuning", "few_shot", "zero_shot")),
    *(("t5", name) for name in ("lora", "adapter", "prompt", "few_shot")),
]


@pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in WRITING.items()])
def test_what_is_written_is_what_the_run_finds_most_likely(make: Callable[[], Path]) -> None:
    written_is_most_likely(read_run(make()))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "method"), MORE_WRITING)
def test_more_that_is_written_is_what_the_run_finds_most_likely(kind: str, method: str) -> None:
    own = {"few_shot": ("method.shot_tokens=48", "method.shots=1"), "zero_shot": ()}
    given = ("budget.max_length=96", *own.get(method, ("optim.lr=0.02",)))
    written_is_most_likely(read_run(finished(kind, "instruction_files", f"method={method}", *given)))


def written_is_most_likely(run: FinishedRun) -> None:
    """Step by step through the method's own forward pass, which has no cache that could lose a prefix."""
    texts = ["The market fell on", "Shares of the company rose", "On Monday"]
    rows = rows_of(run)[:6] if run.task.name == "instruction" else from_texts(texts, run.config.dataset)
    found = answers(run, rows)
    assert found
    base = run.load_base()
    model = run.restore_model(base)
    prompts = response_prompts(run, base, rows) if run.task.kind.generates else text_prompts(base, rows)
    for prompt, one in zip(prompts, found, strict=True):
        written = _greedy(run, base, model, prompt.input_ids, {prompt.stop_id})
        assert one == TextPrediction(base.tokenizer.decode(written, skip_special_tokens=True).strip())


@torch.inference_mode()
def _greedy(run: FinishedRun, base: Base, model: torch.nn.Module, prompt: list[int], ends: set[int]) -> list[int]:
    written: list[int] = []
    config = base.model.config
    ends = ends | {base.tokenizer.eos_token_id}
    while len(written) < 12:
        if config.is_encoder_decoder:
            batch = {"input_ids": torch.tensor([prompt])}
            batch["decoder_input_ids"] = torch.tensor([[config.decoder_start_token_id, *written]])
        else:
            batch = {"input_ids": torch.tensor([[*prompt, *written]])}
        batch["attention_mask"] = torch.ones_like(batch["input_ids"])
        token = int(run.method.forward(model, batch)[0, -1].argmax())
        if token in ends:
            break
        written.append(token)
    return written


def test_a_prompt_that_is_too_long_is_named() -> None:
    run = read_run(of_experiment("gpt2_instruct_zh_lora"))
    rows = from_texts(["short", "word " * 400], run.config.dataset)
    with refused(DataError, "--text 2", "256"):
        answers(run, rows)


def test_an_answer_stops_where_the_model_can_see_no_further() -> None:
    run = read_run(of_experiment("gpt2_wikitext_adapter"))
    (answer,) = answers(run, from_texts(["a " * 100], run.config.dataset), max_new_tokens=500)
    assert answer.answer
