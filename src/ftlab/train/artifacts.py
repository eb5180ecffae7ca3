"""Artifacts of a run: the trained weights, checked by loading them again, and the predictions on the test split."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import nn

from ftlab.core.atomic import building, replacing
from ftlab.core.batch import IGNORE_INDEX, Batch, model_inputs
from ftlab.core.errors import UserError
from ftlab.data.rows.excerpt import Excerpt
from ftlab.methods.base import TuningMethod
from ftlab.models.frozen_prefix import eval_mode
from ftlab.record import Check
from ftlab.record.folder import ADAPTER

_EXCERPT_COLUMNS = ("where", "text", "expected")
# largest difference of a logit after reloading; relative to the largest logit if that is above 1, as rounding is
TOLERANCE = 1e-4


class ReloadFailed(UserError):
    """The saved weights do not restore the trained model, so its metrics are not those of the saved run."""


def save_adapter(method: TuningMethod, model: nn.Module, directory: Path, trainable: list[str]) -> int:
    """Write the trained tensors atomically to `directory/adapter`; return their size in bytes."""
    directory.mkdir(parents=True, exist_ok=True)
    with building(directory / ADAPTER, replaces=True) as new:
        method.export(model, new, trainable)
        return sum(path.stat().st_size for path in new.rglob("*") if path.is_file())


@torch.inference_mode()
def probe_logits(method: TuningMethod, model: nn.Module, batch: Batch) -> torch.Tensor:
    """Return the logits of a batch at its non-padding positions, computed without dropout, on the CPU."""
    device = next(model.parameters()).device
    inputs = model_inputs(batch, device)
    with eval_mode(model):
        logits = method.forward(model, inputs).float()
    if logits.ndim == 3:  # per token; those at padding positions are meaningless
        decoder = "decoder_input_ids" in inputs
        mask = batch["labels"] != IGNORE_INDEX if decoder else inputs["attention_mask"].bool()
        logits = logits[mask.to(device)]
    return logits.cpu()


def check_reload(method: TuningMethod, restore: Callable[[], nn.Module], batch: Batch, expected: torch.Tensor) -> Check:
    """Load the saved weights into a fresh base and compare its logits with those of the trained model.

    Args:
        method: computes the logits.
        restore: loads the saved weights into a fresh base; the trained model must have been freed before. Both compute
            on the CPU, to which the Trainer moves a model after training.
        batch: the probe batch.
        expected: the trained model's logits for it.
    """
    difference = (probe_logits(method, restore(), batch) - expected).abs().max().item()
    limit = TOLERANCE * max(1.0, expected.abs().max().item())
    return Check(
        status="passed" if difference <= limit else "failed",
        detail=f"largest difference of a logit after saving and loading: {difference:.2e}",
    )


def write_predictions(
    rows: list[dict[str, Any]],
    example_ids: list[str],
    path: Path,
    *,
    task: str,
    split: str,
    excerpts: Sequence[Excerpt | None] | None = None,
) -> None:
    """Write a parquet file durably: task, split, example_id, where, text, then the predictions; in the data's order.

    A row of a mixture has its own `task`, that of its part. A column that all examples lack is left out.

    Args:
        rows: predictions of the task module.
        example_ids: by `index`.
        path: of the file; a reader gets the old or the new one, never a part.
        task: name of the run's task.
        split: name of the split.
        excerpts: of each example, by `index`; a prediction's own text is not replaced by it. None: none are written.
    """
    ordered = sorted(rows, key=lambda row: row["index"])
    shown = [name for name in _EXCERPT_COLUMNS if any(getattr(excerpt, name, None) for excerpt in excerpts or ())]
    # parts of a mixture have different keys
    keys = dict.fromkeys([*shown, *(key for row in ordered for key in row if key != "index")])

    def value(row: dict[str, Any], key: str) -> Any:
        if row.get(key) is None and excerpts and key in shown:
            return getattr(excerpts[row["index"]], key, None)
        return row.get(key)

    table = pa.Table.from_pylist(
        [
            {
                "task": task,
                "split": split,
                "example_id": example_ids[row["index"]],
                **{key: value(row, key) for key in keys},
            }
            for row in ordered
        ]
    )
    with replacing(path) as new, new.open("wb") as stream:  # a checkpoint that is saved later may rely on the file
        pq.write_table(table, stream)
