"""A step's gradient is that of one big batch, however the batch is cut up, dealt out and packed."""

from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BloomConfig, BloomForCausalLM, T5Config, T5ForConditionalGeneration

from ftlab import methods, models, tasks
from ftlab.config.run_config import RunConfig
from ftlab.core.batch import micro_batches
from ftlab.core.errors import UserError
from ftlab.data.base import DataModule
from ftlab.data.build import build_data
from ftlab.models.devices import Devices
from ftlab.tasks.base import TaskModule
from ftlab.train.compatibility import require_packing_support
from ftlab.train.optim import optimizer_factory
from tests.data.making import jsonl
from tests.fixtures.checkpoints import tiny
from tests.fixtures.compose import composed
from tests.fixtures.refusals import refused
from tests.fixtures.tasks import INSTRUCTION
from tests.tiny import TEXT
from tests.training import give_trainer

EXAMPLES = 16  # of a step
WORDS = TEXT.split()[:18]
ROWS = {
    "classification": [{"text": " ".join([str(n), *WORDS[: n % 17]]), "label": f"kind {n % 3}"} for n in range(60)],
    "instruction": [
        {"instruction": f"say {n}", "input": "", "output": " ".join(WORDS[: 1 + n**2 % 17])} for n in range(60)
    ],
    "text": [{"text": " ".join(WORDS[n % 9 :])} for n in range(60)],
    "masked_lm": [{"text": " ".join(WORDS[n % 9 :])} for n in range(60)],
    "multilabel": [
        {"text": " ".join([str(n), *WORDS[: n % 17]]), "labels": [x for x in "abc" if (n + ord(x)) % 3]}
        for n in range(60)
    ],
    "regression": [{"text": " ".join([str(n), *WORDS[: n % 17]]), "score": n**2 % 13} for n in range(60)],
    "seq2seq": [{"source": f"say {n}", "target": " ".join(WORDS[: 1 + n**2 % 17])} for n in range(60)],
    "token_classification": [
        {"tokens": [str(n), *WORDS[: n % 17]], "tags": ["B-N"] + ["O"] * (n % 17)} for n in range(60)
    ],
}
ROWS["weighted"] = ROWS["classification"]
PRESETS = {
    "classification": "text_files",
    "weighted": "text_files",
    "instruction": "instruction_files",
    "multilabel": "multilabel_files",
    "regression": "regression_files",
    "seq2seq": "seq2seq_files",
    "token_classification": "token_files",
}
WEIGHTED = ["dataset.task=classification", "loss.class_weights=[1,7,20]"]


def configured(task: str, kind: str, tmp_path: Path, *overrides: str) -> RunConfig:
    if not (tmp_path / "rows.jsonl").exists():
        jsonl(tmp_path / "rows.jsonl", ROWS[task])
    return composed(
        "model=hf",
        f"model.name={tiny('masked' if task == 'masked_lm' else kind)}",
        f"dataset={PRESETS.get(task, 'plain_text_files')}",
        f"dataset.task={task}",
        f"dataset.source.train={tmp_path / 'rows.jsonl'}",
        "dataset.max_length=48",
        "method=full",
        "model.dropout=null" if kind == "llama" else "model.dropout=0.0",
        f"optim.batch_size={EXAMPLES}",
        "speed.micro_batch_tokens=null",
        *(WEIGHTED if task == "weighted" else []),
        *overrides,
    )


def dealt(config: RunConfig, rank: int = 0) -> tuple[DataModule, TaskModule[Any]]:
    """Return the batches of a rank, and a module with the seed's weights."""
    rows = build_data(config, Devices(per_node=config.hardware.devices, rank=rank))
    method = methods.build_method(config.method)
    architecture = models.architecture(config.model)
    task = method.pose_task(rows.task, architecture, config.loss)
    torch.manual_seed(0)
    base = models.load_base_model(config.model, task, config.quant)
    with torch.no_grad():  # at the scale of their init, attention hardly matters to what tiny models say
        for parameter in base.model.parameters():
            parameter.mul_(8 if parameter.ndim > 1 else 1)
    start = getattr(base.model.config, "decoder_start_token_id", None)
    rows.tokenize(base.tokenizer, task=task, decoder_start=start)
    model = method.apply(base, task)
    module = tasks.build_task(task, model, method, optimizer_factory(config.optim, total_steps=1))
    # a T5 of such weights magnifies the rounding of single precision
    return rows, module.double() if base.model.config.is_encoder_decoder else module


def stepped(config: RunConfig, *, steps: int = 2) -> tuple[float, torch.Tensor, int]:
    """Return loss and gradient of the second step (of rows with other lengths), and the positions computed.

    Micro-batches and ranks are averaged as Lightning and DDP do.
    """
    accumulate, world = config.optim.accumulate, config.hardware.world_size
    whole, positions, gradients = 0.0, 0, []
    for rank in range(world):
        rows, module = dealt(config, rank)
        rows.set_batch_range(batches=steps * accumulate, start=(steps - 1) * accumulate)
        for piece in chain.from_iterable(map(micro_batches, rows.train_dataloader())):
            loss = module.loss(piece) * piece["loss_weight"] / accumulate
            loss.backward()
            whole += loss.item() / world
            positions += piece["input_ids"].numel()
        gradients.append(torch.cat([p.grad.reshape(-1) for p in module.parameters() if p.grad is not None]))
    return whole, torch.stack(gradients).mean(0), positions


def assert_same(found: tuple[float, torch.Tensor, int], expected: tuple[float, torch.Tensor, int]) -> None:
    assert found[0] == pytest.approx(expected[0], rel=1e-5)
    assert float((found[1] - expected[1]).norm()) < 1e-3 * float(expected[1].norm())


@pytest.mark.parametrize(
    ("task", "kind"),
    [
        ("instruction", "gpt2"),
        pytest.param("instruction", "t5", marks=pytest.mark.slow),  # as seq2seq, but for where the rows come from
        ("text", "llama"),
        ("masked_lm", "bert"),
        ("classification", "bert"),
        ("weighted", "bert"),
        ("multilabel", "bert"),
        ("regression", "bert"),
        ("token_classification", "bert"),
        ("seq2seq", "t5"),
        pytest.param("seq2seq", "llama", marks=pytest.mark.slow),  # as instruction, but for where the rows come from
    ],
)
def test_a_step_is_one_big_batch(task: str, kind: str, tmp_path: Path) -> None:
    """The mean over the labelled tokens of all its examples."""
    expected = stepped(configured(task, kind, tmp_path))
    for overrides in (
        ["optim.accumulate=2", "hardware=ddp_cpu", "hardware.devices=2"],
        ["optim.accumulate=2", "speed.micro_batch_tokens=60"],
    ):
        assert_same(stepped(configured(task, kind, tmp_path, *overrides)), expected)


@pytest.mark.parametrize(("task", "kind"), [("instruction", "gpt2"), ("classification", "bert")])
def test_a_step_of_examples_of_like_length_is_one_big_batch(task: str, kind: str, tmp_path: Path) -> None:
    """Which examples are grouped is the same for every task; how they are weighed differs: by tokens or by rows."""
    grouped = configured(task, kind, tmp_path, "optim.group_by_length=true")
    parted = configured(task, kind, tmp_path, "optim.group_by_length=true", "optim.accumulate=4")
    assert_same(stepped(grouped), stepped(parted))


@pytest.mark.parametrize(
    ("task", "kind", "attention"),
    [
        ("instruction", "gpt2", "sdpa"),
        ("instruction", "llama", "sdpa"),
        ("instruction", "llama", "eager"),
        ("text", "llama", "sdpa"),
        pytest.param("instruction", "gpt2", "eager", marks=pytest.mark.slow),
        pytest.param("text", "llama", "eager", marks=pytest.mark.slow),
    ],
)
def test_packed_and_unpacked_are_the_same_step(task: str, kind: str, attention: str, tmp_path: Path) -> None:
    overrides = [f"model.attention={attention}", *(["dataset.max_length=20"] if task == "text" else [])]
    plain = stepped(configured(task, kind, tmp_path, *overrides))
    packed = stepped(configured(task, kind, tmp_path, *overrides, "optim.packing=true"))
    assert_same(packed, plain)
    assert task == "text" or packed[2] < plain[2]
    parted = ("optim.packing=true", "optim.accumulate=2", "speed.micro_batch_tokens=60")
    assert_same(stepped(configured(task, kind, tmp_path, *overrides, *parted)), plain)


def test_a_packed_example_that_saw_its_neighbour_would_be_noticed(tmp_path: Path) -> None:
    """The same batch without its positions, as one long text, has another loss."""
    rows, module = dealt(configured("instruction", "llama", tmp_path, "optim.packing=true"))
    rows.set_batch_range(batches=1)
    (batch,) = rows.train_dataloader()
    joined = {name: value for name, value in batch.items() if name != "position_ids"}
    assert abs(module.loss(joined).item() - module.loss(batch).item()) > 5e-3


def test_what_is_logged_is_the_loss_of_the_step(tmp_path: Path) -> None:
    losses = []
    for parts in (1, 4):
        config = configured("instruction", "gpt2", tmp_path, f"optim.accumulate={parts}")
        rows, module = dealt(config)
        rows.set_batch_range(batches=parts)
        give_trainer(module, accumulate=parts)
        for number, batch in enumerate(rows.train_dataloader()):
            module.training_step(batch, number)
        losses.append(module.last_loss.item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.parametrize("kind", ["bloom", "t5"])
def test_packing_is_refused_where_examples_would_see_each_other(kind: str, tmp_path: Path) -> None:
    config = configured("instruction", "gpt2", tmp_path, "optim.packing=true")
    sizes = {"vocab_size": 40, "hidden_size": 16, "n_layer": 2, "n_head": 2}
    model = {
        "bloom": lambda: BloomForCausalLM(BloomConfig(**sizes)),  # its positions are distances, and it takes no others
        "t5": lambda: T5ForConditionalGeneration(T5Config(d_model=16, d_kv=4, d_ff=16, num_layers=1, num_heads=2)),
    }[kind]()
    base = models.load_base_model(config.model, INSTRUCTION, config.quant)
    method = methods.build_method(config.method)
    require_packing_support(config, base, method)
    with refused(UserError, f"({kind})", "method=full", "optim.packing=false"):
        require_packing_support(config, replace(base, model=model), method)
