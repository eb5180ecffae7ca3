"""What every method must keep, for every method in conf/method: nothing is declared here but the models."""

import re
from pathlib import Path

import pytest
import torch
from lightning.pytorch import seed_everything
from safetensors.torch import load_file

from ftlab import tasks
from ftlab.artifacts import probe, save_adapter
from ftlab.errors import UserError
from ftlab.methods.base import trainable_names
from ftlab.optim import optimizer_maker
from ftlab.paths import conf_dir
from ftlab.schema import RunConfig
from ftlab.tasks.spec import Task
from tests.fixtures.compose import composed
from tests.training import (
    applied,
    batch_for,
    config_for,
    declared,
    fresh_base,
    module_for,
    posed,
    task_named,
    two_epochs,
)

METHODS = sorted(path.stem for path in (conf_dir() / "method").glob("*.yaml"))
SETTINGS = [
    ("bert", "classification"),
    ("gpt2", "classification"),
    ("gpt2", "instruction"),
    ("llama", "classification"),
    ("llama", "instruction"),
    ("t5", "classification"),
    ("t5", "instruction"),
]
# The same heads and the same code as on the settings above: a few of them here, the others in `make test-slow`.
NEW_HEADS = [(kind, task) for kind in ("bert", "llama") for task in ("multilabel", "regression")]
TOKENS = [(kind, "token_classification") for kind in ("bert", "gpt2", "llama", "t5")]
QUICK = {  # those that treat the head in their own way
    ("lora", "bert", "regression"),
    ("adapter", "bert", "multilabel"),
    ("majority", "bert", "regression"),
    ("majority", "llama", "multilabel"),
    ("prefix", "llama", "multilabel"),
    ("prompt", "llama", "regression"),
    ("zero_shot", "llama", "regression"),
    ("prompt_head", "llama", "multilabel"),
}
# Methods that differ from another one in their settings alone: most of what is true there is true here.
VARIANTS = {"adapter_pfeiffer", "dora", "ia3", "loha", "lokr", "lora_all", "oft", "pissa", "qlora", "rslora", "vera"}
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:The dirpath has changed"),  # a resumed run has a folder of its own here
]
STEPS = 12  # of the run that is interrupted


def test_there_are_methods() -> None:
    assert {"full", "partial", "head", "lora", "prefix", *VARIANTS} <= set(METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_declares_what_it_is_held_to(name: str) -> None:
    config = composed(f"method={name}").method
    assert config.name == name
    if config.lr is None:  # a floor: nothing trains
        assert config.expect["trains"] == []
    else:
        assert config.expect["trains"]
        assert config.search["lr"]


@pytest.fixture
def case(request: pytest.FixtureRequest) -> tuple[RunConfig, Task, list[str]]:
    """A method on a model and a task, and the patterns of what trains; a refusal that is declared ends the test."""
    name, kind, task_name = request.param
    config = config_for(name, kind, "optim.warmup=0", "optim.schedule=constant")
    task = task_named(task_name)
    words = declared(config.method.expect, "refuses", kind, task)
    if words is not None:
        with pytest.raises(UserError, match=words):
            applied(config, posed(config, task))
        pytest.skip(f"refused, as declared: {words}")
    patterns = declared(config.method.expect, "trains", kind, task)
    assert patterns is not None, f"conf/method/{name}.yaml: expect.trains says nothing of {kind}-{task_name}"
    return config, posed(config, task), patterns


def cases(*quick: tuple[str, str], variants: tuple[str, ...] = ()) -> pytest.MarkDecorator:
    """Every method on SETTINGS and these, VARIANTS on these kinds of models; the others in the slow ones."""

    def is_quick(name: str, kind: str, task: str) -> bool:
        usual = (kind, task) in (*SETTINGS, *quick) and (name not in VARIANTS or kind in variants)
        return usual or (name, kind, task) in QUICK

    every = [(name, *setting) for name in METHODS for setting in (*SETTINGS, *NEW_HEADS, *TOKENS)]
    return pytest.mark.parametrize(
        "case",
        [pytest.param(case, marks=[] if is_quick(*case) else pytest.mark.slow, id="-".join(case)) for case in every],
        indirect=True,
    )


@cases(("bert", "token_classification"), variants=("bert", "llama"))
def test_contract(case: tuple[RunConfig, Task, list[str]], tmp_path: Path) -> None:
    config, task, patterns = case
    method, model = applied(config, task)
    trains = trainable_names(model)

    # what is declared trains, and nothing else
    assert trains == [key for key, _ in model.named_parameters() if any(re.search(p, key) for p in patterns)]
    assert bool(trains) == (config.method.lr is not None)
    batch = batch_for(task)

    if trains:  # the loss on one batch falls, every trainable tensor moves, no frozen one does
        before = {key: value.detach().clone() for key, value in model.named_parameters()}
        module = tasks.build(task, model, method, optimizer_maker(config.optim, total_steps=30))
        losses = two_epochs(module, [batch] * 15, tmp_path)
        after = dict(model.named_parameters())
        assert losses[-1] < losses[0]
        moved = {key for key in trains if not torch.equal(after[key], before[key])}
        steps = module.trainer.optimizers[0].state  # AdaLoRA cuts all ranks of a matrix back to zero, where they began
        moved |= {key for key in trains if bool(steps[after[key]]["exp_avg"].count_nonzero())}
        unused = {key for key in trains if "position_embeddings" in key or "wpe" in key} - moved
        assert moved | unused == set(trains)
        assert not [key for key in set(before) - set(trains) if not torch.equal(after[key], before[key])]

    # what is saved, on a fresh base with another head: the same logits
    expected = probe(method, model, batch)
    save_adapter(method, model, tmp_path, trains)
    restored = method.restore(fresh_base(config, task, seed=1), task, tmp_path / "adapter")
    assert torch.equal(probe(method, restored, batch), expected)

    # and it holds nothing of the base
    files = list((tmp_path / "adapter").glob("*.safetensors"))
    assert bool(files) == bool(trains)
    saved = sum(tensor.numel() for file in files for tensor in load_file(file).values())
    assert saved <= sum(value.numel() for key, value in model.named_parameters() if key in trains)


@cases(("bert", "token_classification"))
def test_padding_changes_no_logit(case: tuple[RunConfig, Task, list[str]]) -> None:
    config, task, _ = case
    method, model = applied(config, task)
    padded = {key: value[1:2] for key, value in batch_for(task).items()}
    bare = {key: value[:, :-2] if value.ndim == 2 and value.shape[1] > 2 else value for key, value in padded.items()}
    assert not padded["attention_mask"][:, -2:].any()
    torch.testing.assert_close(probe(method, model, padded), probe(method, model, bare))


@cases()
def test_a_run_resumed_in_the_middle_is_the_uninterrupted_one(
    case: tuple[RunConfig, Task, list[str]], tmp_path: Path
) -> None:
    """To the bit: weights and losses of fp32 on the CPU, dropout included."""
    config, task, _ = case
    if config.method.lr is None:
        pytest.skip("nothing trains")
    batches = [batch_for(task, seed=seed) for seed in range(STEPS // 2)]

    def trained(folder: Path, checkpoint: Path | None) -> tuple[dict[str, torch.Tensor], list[float]]:
        module = module_for(config, task, steps=STEPS)
        seed_everything(7 if checkpoint is None else 8, verbose=False)
        losses = two_epochs(module, batches, folder, checkpoint=checkpoint)
        state = dict(module.model.named_parameters())
        return {key: state[key].detach() for key in module.trainable}, losses

    whole, losses = trained(tmp_path / "whole", None)
    middle = tmp_path / "whole" / "checkpoints" / f"step={STEPS // 2}.ckpt"
    resumed, rest = trained(tmp_path / "resumed", middle)
    assert rest == losses[STEPS // 2 :]
    assert not [key for key in whole if not torch.equal(whole[key], resumed[key])]
