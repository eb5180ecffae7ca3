"""What a run leaves behind: the trained weights, proven to load again, and one prediction per test example."""

import gc
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from ftlab.data.collate import IGNORED, inputs_of
from ftlab.methods.base import Batch, TuningMethod
from ftlab.models.trunk import evaluating
from ftlab.record import Check
from ftlab.record.folder import PREDICTIONS

ADAPTER = "adapter"
_SHOWN = 200  # characters of an example beside its prediction
TOLERANCE = 1e-4  # largest difference of a logit after reloading: the same maths on the same weights in fp32


def save_adapter(method: TuningMethod, model: nn.Module, directory: Path, trainable: list[str]) -> int:
    """Write what was trained to `directory/adapter`, whole or not at all; return its size in bytes."""
    final, partial = directory / ADAPTER, directory / f".{ADAPTER}.{os.getpid()}"
    shutil.rmtree(partial, ignore_errors=True)
    method.export(model, partial, trainable)
    shutil.rmtree(final, ignore_errors=True)
    partial.replace(final)
    return sum(path.stat().st_size for path in final.rglob("*") if path.is_file())


@torch.inference_mode()
def probe(method: TuningMethod, model: nn.Module, batch: Batch) -> torch.Tensor:
    """Return the logits of one batch at its real (not padded) places, without dropout, on the CPU."""
    device = next(model.parameters()).device
    inputs = inputs_of(batch, device)
    with evaluating(model):
        logits = method.forward(model, inputs).float()
    if logits.ndim == 3:  # a language model's logits at padded positions mean nothing
        read = inputs["attention_mask"].bool() if "decoder_input_ids" not in inputs else batch["labels"] != IGNORED
        logits = logits[read.to(device)]
    return logits.cpu()


def check_reload(method: TuningMethod, restore: Callable[[], nn.Module], batch: Batch, expected: torch.Tensor) -> Check:
    """Put the saved weights on a fresh base and compare logits with those of the model that was trained.

    Args:
        method: computes the logits.
        restore: loads a fresh base and puts the saved weights on it; the trained model must be gone by now.
        batch: the probe batch.
        expected: the trained model's logits for it.
    """
    gc.collect()
    fresh = restore()
    difference = (probe(method, fresh, batch) - expected).abs().max().item()
    return Check(
        status="passed" if difference <= TOLERANCE else "failed",
        detail=f"largest difference of a logit after saving and loading: {difference:.2e}",
    )


def beginnings(tokenizer: PreTrainedTokenizerBase, batches: Iterable[Batch]) -> dict[int, str]:
    """Return `index` of each example -> how what the model was shown begins, as the tokenizer gives it back."""
    texts: dict[int, str] = {}
    for batch in batches:
        pairs = zip(batch["input_ids"], batch["attention_mask"].bool(), strict=True)
        told = tokenizer.batch_decode([ids[real].tolist() for ids, real in pairs], skip_special_tokens=True)
        texts |= zip(batch["index"].tolist(), (" ".join(text.split())[:_SHOWN] for text in told), strict=True)
    return texts


def write_predictions(
    rows: list[dict[str, Any]],
    example_ids: list[str],
    directory: Path,
    *,
    task: str,
    split: str,
    texts: Mapping[int, str] | None = None,
) -> Path:
    """Write predictions.parquet: task, split, example_id, text, then what the task predicts; in the data's order.

    A row of a mixture says of itself which part's it is. `texts` are `beginnings`; None: no text is written.
    """
    ordered = sorted(rows, key=lambda row: row["index"])
    keys = dict.fromkeys(key for row in ordered for key in row if key != "index")  # parts of a mixture have their own
    table = pa.Table.from_pylist(
        [
            {
                "task": task,
                "split": split,
                "example_id": example_ids[row["index"]],
                **({} if texts is None else {"text": texts[row["index"]]}),
                **{key: row.get(key) for key in keys},
            }
            for row in ordered
        ]
    )
    path, partial = directory / PREDICTIONS, directory / f".{PREDICTIONS}.{os.getpid()}"
    pq.write_table(table, partial)
    partial.replace(path)
    return path
