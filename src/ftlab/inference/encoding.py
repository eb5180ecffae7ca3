"""Encoding of new rows as a finished run encoded its own."""

from typing import Any

from ftlab.data.base import DataModule
from ftlab.data.dataset import data_class_of
from ftlab.data.loading.batches import Loading
from ftlab.data.loading.collate import Collate
from ftlab.data.prompting import demonstrations
from ftlab.inference.finished_run import FinishedRun
from ftlab.models import Base


def empty_data_module(run: FinishedRun, base: Base, max_length: int, **data_args: Any) -> tuple[DataModule, Collate]:
    """Return a data module without rows that encodes rows as the run did, and its collate function.

    Args:
        run: the run.
        base: its base model.
        max_length: maximum number of tokens per example.
        data_args: arguments of the data module of the run's task kind.
    """
    size = run.config.hardware.eval_batch_size
    data = data_class_of(run.task.kind)(
        {"train": [], "val": [], "test": []},
        max_length=max_length,
        loading=Loading(micro_batch_size=size, eval_batch_size=size),
        **data_args,
    )
    collate = data.prepare_encoding(
        base.tokenizer,
        model=run.config.model.name,
        task=run.task,
        decoder_start=getattr(base.model.config, "decoder_start_token_id", None),
        demonstrations=demonstrations.load(run.adapter_dir) if run.task.shots else None,
    )
    return data, collate
