"""Weights below the head that a checkpoint does not hold: every method trains and saves them, as it does the head."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AlbertConfig,
    AutoModel,
    BertConfig,
    BigBirdConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    MobileBertConfig,
    MPNetConfig,
    PreTrainedConfig,
    RobertaConfig,
    XLMRobertaConfig,
)

from ftlab.config.run_config import RunConfig
from ftlab.config.task import Task
from ftlab.core.errors import UserError
from ftlab.methods.adapter import load_adapter
from ftlab.methods.base import trainable_names
from ftlab.models.quiet import quiet
from ftlab.models.structure import head_names, new_modules
from ftlab.train.artifacts import probe_logits, save_adapter
from tests.fixtures.compose import composed
from tests.fixtures.refusals import refused
from tests.methods.test_contract import METHODS
from tests.tiny import save_tiny
from tests.training import applied, batch_for, fresh_base, task_for_model, task_named

SIZES = {"vocab_size": 640, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4} | {
    "intermediate_size": 64,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
}
FAMILIES: dict[str, tuple[PreTrainedConfig, list[str]]] = {  # and what is new in each without its pooler
    "bert": (BertConfig(**SIZES), ["bert.pooler.dense"]),
    "albert": (AlbertConfig(**SIZES, embedding_size=32), ["albert.pooler"]),
    "bigbird": (BigBirdConfig(**SIZES, attention_type="original_full"), ["bert.pooler"]),
    "deberta": (DebertaV2Config(**SIZES, relative_attention=True, pos_att_type=["p2c"]), []),
    "distilbert": (DistilBertConfig(vocab_size=640, n_layers=2, dim=32, n_heads=4, hidden_dim=64), []),
    "electra": (ElectraConfig(**SIZES, embedding_size=32), []),
    "mobilebert": (
        MobileBertConfig(**SIZES, embedding_size=32, intra_bottleneck_size=16, true_hidden_size=16),
        ["mobilebert.pooler.dense"],
    ),
    "mpnet": (MPNetConfig(**SIZES), []),
    "roberta": (RobertaConfig(**SIZES), []),
    "xlmr": (XLMRobertaConfig(**SIZES), []),
}
WITHOUT_NEW_HEAD = {"few_shot", "majority", "prompt_head", "zero_shot"}  # no new head, or nothing trains
QUICK = {"adapter", "bitfit", "head", "lora_all", "prefix", "qlora"}
_folder = TemporaryDirectory(prefix="ftlab-without-pooler-")


@cache
def without_pooler(family: str) -> Path:
    """Return the folder of a tiny encoder that was saved without its pooler, as sentence encoders often are."""
    folder = save_tiny("bert", Path(_folder.name) / family)
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(0)
        AutoModel.from_config(FAMILIES[family][0]).save_pretrained(folder)
    change_weights(folder, lambda name: "pooler" not in name)
    return folder


def change_weights(folder: Path, keep: Callable[[str], bool]) -> None:
    path = folder / "model.safetensors"
    save_file({name: tensor for name, tensor in load_file(path).items() if keep(name)}, path, {"format": "pt"})


def setting(method: str, folder: Path, task: str = "classification") -> tuple[RunConfig, Task]:
    given = composed(f"method={method}").method.expect.get("given", {})
    settings = [f"method.{key}={value}" for key, value in given.items()]
    config = composed(f"method={method}", "model=hf", f"model.name={folder}", *settings)
    return config, task_for_model(config, task_named(task))


def assert_saved_and_restored(config: RunConfig, task: Task, folder: Path) -> list[str]:
    """Change everything that trains, save it, load it onto a base with other new weights; return what trains."""
    method, model = applied(config, task)
    trainable = trainable_names(model)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in trainable:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    save_adapter(method, model, folder, trainable)
    restored = method.restore(fresh_base(config, task, seed=1), task, folder / "adapter")
    batch = batch_for(task)
    torch.testing.assert_close(probe_logits(method, restored, batch), probe_logits(method, model, batch))
    return trainable


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow)
        for name in METHODS
        if name not in WITHOUT_NEW_HEAD
    ],
)
def test_every_method_trains_and_saves_a_new_pooler(method: str, tmp_path: Path) -> None:
    trainable = assert_saved_and_restored(*setting(method, without_pooler("bert")), tmp_path)
    pooler = [name for name in trainable if "pooler" in name]
    assert len(pooler) == 2
    assert not [name for name in pooler if "lora_" in name or "base_layer" in name]


@pytest.mark.parametrize("task", ["regression", "multilabel"])
def test_every_task_with_a_head_does(task: str, tmp_path: Path) -> None:
    assert [
        name
        for name in assert_saved_and_restored(*setting("lora", without_pooler("bert"), task), tmp_path)
        if "pooler" in name
    ]


@pytest.mark.parametrize("method", ["adapter", "head", "lora_all"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family(family: str, method: str, tmp_path: Path) -> None:
    config, task = setting(method, without_pooler(family))
    model = fresh_base(config, task).model
    new = FAMILIES[family][1]
    assert new_modules(model) == new
    assert {f"{module}.{kind}" for module in new for kind in ("weight", "bias")} <= set(head_names(model))
    assert_saved_and_restored(config, task, tmp_path)


def test_a_pooler_in_the_checkpoint_is_not_new(tmp_path: Path) -> None:
    config, task = setting("head", save_tiny("bert", tmp_path / "tiny"))
    model = fresh_base(config, task).model
    assert new_modules(model) == []
    assert head_names(model) == ["classifier.weight", "classifier.bias"]


def test_a_new_pooler_is_not_quantised_and_follows_the_seed() -> None:
    config, task = setting("qlora", without_pooler("bert"))
    plain = setting("lora", without_pooler("bert"))[0]
    quantised, expected = (fresh_base(each, task).model for each in (config, plain))
    for name in head_names(expected):
        assert torch.equal(quantised.get_parameter(name), expected.get_parameter(name))


@pytest.mark.parametrize(
    "part", ["encoder.layer.1.output.LayerNorm", "embeddings.position_embeddings", "encoder.layer.0."]
)
def test_what_no_training_replaces_is_refused(part: str, tmp_path: Path) -> None:
    folder = save_tiny("bert", tmp_path / "tiny")
    change_weights(folder, lambda name: not name.startswith(part))
    config, task = setting("lora", folder)
    with refused(UserError, f"model={folder}", "config.json", f"bert.{part}"):
        fresh_base(config, task)


def test_an_adapter_brings_its_pooler_to_a_model_that_has_one(tmp_path: Path) -> None:
    """As an export writes the base model, with the pooler that it drew."""
    config, task = setting("adapter", without_pooler("bert"))
    method, model = applied(config, task)
    save_adapter(method, model, tmp_path, trainable_names(model))
    other = setting("adapter", save_tiny("bert", tmp_path / "tiny"))[0]
    slot = load_adapter(fresh_base(other, task).model, tmp_path / "adapter").get_submodule("bert.pooler.dense")
    assert torch.equal(
        slot.adapters["default"].weight, model.get_submodule("bert.pooler.dense").adapters["default"].weight
    )
    llama = fresh_base(*setting("adapter", save_tiny("gpt2", tmp_path / "gpt2"))).model
    with refused(UserError, "bert.pooler.dense", type(llama).__name__):
        load_adapter(llama, tmp_path / "adapter")
