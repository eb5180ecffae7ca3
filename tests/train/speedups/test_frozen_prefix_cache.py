"""Frozen prefix cache: a run that computes each row once equals the run that computes it in each pass."""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from ftlab import models
from ftlab.core.errors import UserError
from ftlab.data.loading.batches import Loading
from ftlab.models.devices import find_devices
from ftlab.models.frozen_prefix import FrozenPrefix
from ftlab.train.speedups import frozen_prefix_cache
from ftlab.train.speedups.activation_store import InMemory, OnDisk
from ftlab.train.speedups.frozen_prefix_cache import CachedSplits, FrozenPrefixCache, cache_keys
from tests.fixtures.checkpoints import tiny
from tests.fixtures.compose import composed
from tests.fixtures.refusals import refused
from tests.fixtures.tasks import MASKED_LM, TEXT
from tests.train.callback_runs import compare, run_tiny


@pytest.mark.parametrize(
    ("kind", "method", "overrides"),
    [
        # what the pooler says in half precision is in half precision, in a model that is not
        ("bert", "head", ("hardware.precision=bf16-mixed", "speed.frozen_layers_memory_gb=0")),
        pytest.param("gpt2", "head", ("quant=nf4", "robustness=none"), marks=pytest.mark.slow),
        pytest.param(
            *("bert", "partial", ("method.layers=1", "optim.accumulate=2", "loss=contrastive")), marks=pytest.mark.slow
        ),
        pytest.param("llama", "partial", ("method.layers=1", "optim.group_by_length=true"), marks=pytest.mark.slow),
    ],
)
def test_the_run_is_the_same_with_states_that_are_kept(
    kind: str,
    method: str,
    overrides: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stored: Counter[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With dropout above the frozen prefix, and perturbed texts, whose rows are others."""
    plain = run_tiny(kind, method, tmp_path / "plain", *overrides, "speed.frozen_layers=off")
    assert not stored
    assert "frozen" not in capsys.readouterr().out
    rows: list[int] = []
    states = FrozenPrefix.compute_states

    def counting(self: FrozenPrefix, inputs: dict[str, torch.Tensor]) -> list[torch.Tensor]:
        rows.append(len(inputs["input_ids"]))
        return states(self, inputs)

    monkeypatch.setattr(FrozenPrefix, "compute_states", counting)
    kept = run_tiny(kind, method, tmp_path / "kept", *overrides)
    assert (plain.status, kept.status) == ("completed", "completed"), kept.failure
    compare(tmp_path / "kept", tmp_path / "plain", (kept, plain))
    once = kept.data.rows["train"] + kept.data.rows["val"]
    place = (OnDisk if "speed.frozen_layers_memory_gb=0" in overrides else InMemory).location
    assert set(stored) == {place}
    (told,) = [line for line in capsys.readouterr().out.splitlines() if "frozen layers:" in line]
    assert [word for word in (place, "train", "val") if word not in told] == []
    assert sum(rows) == once + 4, "each row once, and four to try whether the halves make the whole"
    assert {check.status for check in kept.checks.values()} == {"passed"}
    assert kept.fingerprint == plain.fingerprint
    assert kept.robustness == plain.robustness or kept.robustness.untouched.keys() == plain.robustness.untouched.keys()
    for name, one in (kept.robustness.perturbations if kept.robustness else {}).items():
        other = plain.robustness.perturbations[name]
        assert one.metrics["loss"].value == pytest.approx(other.metrics["loss"].value, rel=1e-5)
    # what was asked of training is the same; what was computed is less: 24 · 3 rows of 8 steps, but for the first time
    assert kept.cost.training_flops == plain.cost.training_flops
    assert plain.cost.spared_flops == 0
    assert 0.1 * kept.cost.training_flops < kept.cost.spared_flops < kept.cost.training_flops
    assert not [path for path in (tmp_path / "kept").iterdir() if path.name.startswith("tmp")]


def test_dropout_of_the_trunk_is_never_off_unasked() -> None:
    """It changes results; that nothing is kept where there is dropout stands in test_standing_in.py."""
    assert composed("method=head").model.frozen_dropout


def test_a_text_is_known_by_its_tokens() -> None:
    ids = torch.tensor([[5, 6, 7, 0, 0], [5, 6, 7, 8, 9], [5, 6, 8, 0, 0], [5, 6, 7, 0, 0]])
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0]])
    found = cache_keys({"input_ids": ids, "attention_mask": mask})
    assert len(set(found)) == 4, "a padding token that counts is a token"
    wider = {"input_ids": torch.tensor([[0, 0, 0, 5, 6, 7]]), "attention_mask": torch.tensor([[0, 0, 0, 1, 1, 1]])}
    assert cache_keys(wider) == found[:1]
    segments = torch.zeros_like(ids)
    segments[0, 1] = 1
    with_segments = cache_keys({"input_ids": ids, "attention_mask": mask, "token_type_ids": segments})
    assert len({*with_segments, *found}) == 8


def test_what_is_read_once_is_not_kept() -> None:

    def repeats(steps: int | None, validation_every: int, world_size: int = 1) -> CachedSplits:
        loading = Loading(micro_batch_size=10 // world_size, eval_batch_size=10, world_size=world_size)
        data = SimpleNamespace(rows={"train": 100}, loading=loading)
        training: Any = SimpleNamespace(datamodule=data, steps=steps, validations=(steps or 1) // validation_every)
        return frozen_prefix_cache._splits_to_cache(training)

    assert repeats(10, 10) == CachedSplits(training=False, validation=False)
    assert repeats(10, 5) == CachedSplits(training=False, validation=True)
    assert repeats(20, 20) == CachedSplits(training=True, validation=False)
    assert repeats(None, 1) == CachedSplits(training=False, validation=False), "of so many seconds it may take them all"
    assert not repeats(30, 10, world_size=2).training, "each of two processes would fill its own"
    assert repeats(40, 10, world_size=2).training


@pytest.mark.parametrize("validating", [False, True])
def test_what_a_reference_model_reads_is_not_kept(validating: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads training rows in evaluation mode, for which a store of validation rows has no place."""
    cache: Any = object.__new__(FrozenPrefixCache)
    kept: list[bytes] = []
    monkeypatch.setattr(FrozenPrefixCache, "_compute_and_store", lambda self, keys, inputs: kept.extend(keys))
    cache._store = dict.fromkeys([])
    cache._model, cache._trainer = SimpleNamespace(training=False), SimpleNamespace(validating=validating)
    cache._cached_splits = CachedSplits(training=False, validation=True)
    plain = {"accepts": lambda inputs: True, "model_forward": lambda **inputs: "computed", "forward_from_states": min}
    cache._frozen_prefix = SimpleNamespace(**plain)
    inputs = {"input_ids": torch.tensor([[5, 6]]), "attention_mask": torch.ones(1, 2)}
    if validating:
        with pytest.raises(KeyError):  # the states are asked for, and this test computes none
            cache._cached_forward(**inputs)
    else:
        assert cache._cached_forward(**inputs) == "computed"
    assert bool(kept) is validating


@pytest.mark.parametrize(
    ("override", "task", "reason"),
    [
        ("optim.packing=true", TEXT, "optim.packing"),
        ("hardware=fsdp_cpu", TEXT, "strategy=fsdp"),
        ("quant=int8", TEXT, "int8"),
        ("seed=1", MASKED_LM, "masked"),
        ("seed=1", TEXT, None),
    ],
)
def test_what_is_reason_not_to_cache(override: str, task: Any, reason: str | None) -> None:
    config = composed("dataset=plain_text_files", "dataset.source.train=rows.txt", "method=partial", override)
    training: Any = SimpleNamespace(
        config=config,
        devices=find_devices(config.hardware),
        module=SimpleNamespace(task=task),
        datamodule=None,
    )
    found = frozen_prefix_cache._reason_not_to_cache(training)
    assert (found is None) if reason is None else (found is not None and reason in found)


def test_frozen_dropout_is_refused_where_the_trunk_is_not_known(tmp_path: Path) -> None:
    assert models.architecture(composed("model=hf", f"model.name={tiny('t5')}").model) == "encoder-decoder"
    with refused(UserError, "model.frozen_dropout=false", f"model={tiny('t5')}", "model.dropout=0"):
        run_tiny("t5", "head", tmp_path)
