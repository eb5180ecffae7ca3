"""Answers with words, read in the gap wherever a model has it; whole runs stand in test_floors.py."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ftlab.config.run_config import RunConfig
from ftlab.config.task import Task
from ftlab.core.batch import Batch
from ftlab.core.errors import ConfigError, UserError
from ftlab.data.prompting.cloze import verbalizer_token_ids
from ftlab.methods import build_method
from ftlab.methods.base import trainable_names
from ftlab.train.artifacts import probe_logits, save_adapter
from tests.fixtures.compose import composed
from tests.fixtures.refusals import refused
from tests.fixtures.tasks import TEXT
from tests.training import applied, batch_for, config_for, fresh_base, task_for_model, task_named

HEADED = ("bert", "gpt2", "llama", "t5")


def config_of(method: str, kind: str, *overrides: str) -> RunConfig:
    """Return a method on a tiny model, the encoder with a masked-LM head of random weights."""
    return config_for(method, "masked" if kind == "bert" else kind, *overrides)


def words_at_the_gap(model: nn.Module, batch: Batch, words: list[int], kind: str) -> torch.Tensor:
    """Return the same as the method, from the logits of all positions."""
    logits = model(**{key: value for key, value in batch.items() if key not in ("labels", "index")}).logits
    if kind == "t5":
        return logits[:, 0, words]
    gaps = (
        batch["input_ids"] == 4
        if kind == "bert"
        else batch["attention_mask"].cumsum(1) == batch["attention_mask"].sum(1, keepdim=True)
    )
    return torch.stack([row[gap.nonzero()[0, 0]] for row, gap in zip(logits, gaps, strict=True)])[:, words]


@pytest.mark.parametrize("kind", HEADED)
def test_the_answer_is_read_in_the_gap(kind: str) -> None:
    config = config_of("zero_shot", kind)
    task = task_for_model(config, task_named("classification"))
    method, model = applied(config, task)
    model.eval()
    batch = batch_for(task)
    words = verbalizer_token_ids(fresh_base(config, task).tokenizer, task)
    inputs = {key: value for key, value in batch.items() if key not in ("labels", "index")}
    with torch.no_grad():
        logits = method.forward(model, inputs)
        torch.testing.assert_close(logits, words_at_the_gap(model, batch, words, kind))
        again = model(**inputs).logits  # the output layer is left as it was
    assert logits.shape == (4, 3)
    assert again.shape[1] == (1 if kind == "t5" else batch["input_ids"].shape[1])


def test_an_encoder_with_a_masked_lm_head_trains_it(tmp_path: Path) -> None:
    config = config_of("prompt_head", "bert")
    task = task_for_model(config, task_named("classification"))
    method, model = applied(config, task)
    trains = trainable_names(model)
    assert trains == ["bert.embeddings.word_embeddings.weight", "cls.predictions.bias"]
    batch = batch_for(task)
    inputs = {key: value for key, value in batch.items() if key not in ("labels", "index")}
    optimizer = torch.optim.Adam(method.param_groups(model), lr=config.method.lr)
    losses = []
    for _ in range(8):
        loss = F.cross_entropy(method.forward(model, inputs), batch["labels"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    expected = probe_logits(method, model, batch)
    save_adapter(method, model, tmp_path, trains)
    restored = method.restore(fresh_base(config, task, seed=1), task, tmp_path / "adapter")
    assert torch.equal(probe_logits(method, restored, batch), expected)
    bare = {key: value[1:2, :-2] if value.ndim == 2 else value[1:2] for key, value in batch.items()}
    torch.testing.assert_close(probe_logits(method, restored, bare), expected[1:2])


def test_a_headless_encoder_is_refused_with_what_fits() -> None:
    config = config_for("zero_shot", "bert")
    with refused(UserError, f"model={config.model.name}", "AutoModelForMaskedLM", "model=smollm2-135m"):
        applied(config, task_for_model(config, task_named("classification")))


@pytest.mark.parametrize("method", ["zero_shot", "few_shot", "prompt_head"])
@pytest.mark.parametrize(
    ("template", "culprits"),
    [
        ("{txt} is {mask}", ("{txt}", "{text}")),
        ("Topic: {mask}", ("'Topic: {mask}'", "{text}")),
        ("{text} {text} {mask}", ("'{text} {text} {mask}'",)),
        ("{text}", ("'{text}'", "{mask}")),
    ],
)
def test_templates_that_cannot_be(method: str, template: str, culprits: tuple[str, ...]) -> None:
    config = composed(f"method={method}").method
    with refused(ConfigError, "method.template", *culprits):
        build_method(config.model_copy(update={"template": template}))


@pytest.mark.parametrize(
    ("setting", "culprits"),
    [
        ("method.words=good", ("method.words='good'", "{label: word}")),
        ("method.words=3", ("method.words=3", "{label: word}")),
        ("method.words=[good,3]", ("method.words=['good', 3]", "{label: word}")),
        ("method.words={a:' '}", ("method.words={'a': ' '}", "{label: word}")),
        ("method.shots=0", ("method.shots=0", "1")),
        ("method.shot_tokens=many", ("method.shot_tokens='many'", "1")),
    ],
)
def test_settings_that_cannot_be(setting: str, culprits: tuple[str, ...]) -> None:
    with refused(ConfigError, *culprits):
        build_method(composed("method=few_shot", setting).method)


def _adapt(*overrides: str, task: Task | None = None, architecture: Any = "decoder") -> Task:
    return build_method(composed(*overrides).method).adapt_task(task or task_named("classification"), architecture)


def test_words_of_labels() -> None:
    task = _adapt("method=zero_shot", "method.words={tech: technology}")
    assert task.cloze is not None
    assert task.cloze.words == ("business", "sport", "technology")
    numbers = replace(task_named("classification"), labels=("0", "1"))
    task = _adapt("method=zero_shot", "method.words={0: bad, 1: good}", task=numbers)
    assert task.cloze is not None
    assert task.cloze.words == ("bad", "good")
    task = _adapt("method=zero_shot", 'method.words=["好", "差"]', task=numbers)  # where Hydra takes no such keys
    assert task.cloze is not None
    assert task.cloze.words == ("好", "差")
    with refused(UserError, "method.words", "1", "0, 1"):
        _adapt("method=zero_shot", "method.words=[bad]", task=numbers)
    with refused(UserError, "method.words", "'sports'", "sport"):
        _adapt("method=zero_shot", "method.words={sports: games}")


def test_a_line_break_can_be_typed() -> None:
    task = _adapt("method=zero_shot", r'method.template="{text}\n{mask}"')
    assert task.cloze is not None
    assert task.cloze.template == "{text}\n{mask}"


def test_only_an_encoder_reads_what_is_behind_the_gap() -> None:
    behind = 'method.template="{mask} news: {text}"'
    assert _adapt("method=zero_shot", behind, architecture="encoder").head.auto_class == "AutoModelForMaskedLM"
    for architecture in ("decoder", "encoder-decoder"):
        with refused(UserError, "method.template", "{mask}", "encoder"):
            _adapt("method=zero_shot", behind, architecture=architecture)


def test_tasks_that_a_method_does_not_pose() -> None:
    with refused(UserError, "method=prompt_head", "classification", "text", "method=head"):
        _adapt("method=prompt_head", task=TEXT)
    with refused(UserError, "method=few_shot", "method=zero_shot"):
        _adapt("method=few_shot", task=TEXT)
    with refused(UserError, "method=majority", "text", "method=zero_shot"):
        _adapt("method=majority", task=TEXT)
    assert _adapt("method=zero_shot", task=TEXT) == TEXT


def test_majority_answers_with_the_shares() -> None:
    config = config_for("majority", "bert")
    task = task_named("classification")
    method, model = applied(config, task)
    logits = method.forward(model, batch_for(task, examples=2))
    torch.testing.assert_close(logits.exp(), torch.tensor([[0.5, 0.3, 0.2]] * 2))
