"""The frozen trunk's part is worked out once for each row, and later passes begin where something trains."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn

from ftlab.callbacks.cost import summed
from ftlab.callbacks.states import Kept, room_for
from ftlab.data.base import DataModule
from ftlab.data.batches import MakeBatch
from ftlab.data.collate import Example, inputs_of
from ftlab.data.mixture import MixtureData
from ftlab.models.trunk import Frozen, Inputs, Trunk, answering, halved
from ftlab.schema import RunConfig
from ftlab.tasks.base import TaskModule
from ftlab.tasks.spec import MASKED_LM
from ftlab.trainer import Plan


@dataclass(frozen=True)
class Repeats:
    """Which rows go through the model often enough for their states to be kept.

    Attributes:
        training: whether the training rows do.
        validation: whether the validation rows do.
    """

    training: bool
    validation: bool


class TrunkCache(Callback):
    """Stands in for the model's forward pass while it trains; before and after that the model is as it was.

    A row is known by its tokens, never by its number: another text is another row, wherever it comes from. The training
    rows' states are worked out before the first step, in an order of their own, so that a run that is gone on with has
    the same ones to the bit; those of validation rows in the first validation. It comes after the cost meter in the
    list of callbacks: all of that is time of training, or of validation.

    Attributes:
        saved: tokens of training that did not go through the trunk, less those that filled the cache; of this process.
        multiplied: parameters that each of them would have been multiplied with.
        told: what is kept, for the log.
    """

    def __init__(
        self,
        trunk: Trunk,
        kept: Kept,
        repeats: Repeats,
        *,
        examples: Sequence[Example],
        collate: MakeBatch,
        at_once: int,
        multiplied: int,
        told: str,
    ) -> None:
        """Take the model in two halves, and what there is to keep.

        Args:
            trunk: the halves.
            kept: where states are kept.
            repeats: of which rows.
            examples: of training.
            collate: makes batches of them.
            at_once: rows per forward pass that fills the cache.
            multiplied: see above.
            told: see above.
        """
        self.saved = 0
        self.multiplied = multiplied
        self.told = told
        self._trunk = trunk
        self._kept: Kept | None = kept
        self._repeats = repeats
        self._examples = examples
        self._collate = collate
        self._at_once = at_once
        self._model: nn.Module | None = None
        self._device = torch.device("cpu")
        self._standing_in = ExitStack()

    def state_dict(self) -> dict[str, Any]:
        """Return what was saved so far; every process must ask."""
        return {"saved": summed(self.saved, self._device)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from it."""
        if not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0:
            self.saved = state_dict["saved"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Work out what is read more than once, and stand in from here on."""
        self._model, self._device = pl_module.get_submodule("model"), pl_module.device
        if self._repeats.training:
            with trainer.precision_plugin.forward_context():
                self._fill()
        self._standing_in.enter_context(answering([self._model], self._answer))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let the model answer itself again, and what is kept go."""
        self._let_go()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """The same."""
        self._let_go()

    def _let_go(self) -> None:
        self._standing_in.close()
        self._kept = self._model = None

    def _fill(self) -> None:
        lengths = np.array([len(example.input_ids) for example in self._examples])
        order = np.argsort(-lengths, kind="stable").tolist()  # the longest first: there memory runs out, if it does
        for start in range(0, len(order), self._at_once):
            chosen = order[start : start + self._at_once]
            batch = self._collate([(number, self._examples[number]) for number in chosen])
            inputs = inputs_of(batch, self._device)
            self._keep(keys(inputs), inputs)
            self.saved -= int(inputs["attention_mask"].sum())

    def _keep(self, of_rows: list[bytes], inputs: Inputs) -> None:
        assert self._kept is not None
        for key, states in zip(of_rows, self._trunk.states(inputs), strict=True):
            if key not in self._kept:  # as it was first: a resumed run has it from there too
                self._kept[key] = states

    def _answer(self, *args: Any, **inputs: Any) -> Any:
        """Stand in for the model's forward pass."""
        assert self._kept is not None
        assert self._model is not None
        if args or not self._trunk.knows(inputs):
            return self._trunk.whole(*args, **inputs)
        of_rows, training = keys(inputs), self._model.training
        if not all(key in self._kept for key in of_rows):
            if training or not self._repeats.validation:
                return self._trunk.whole(**inputs)
            self._keep(of_rows, inputs)
        elif training:
            self.saved += int(inputs["attention_mask"].sum())
        device = inputs["input_ids"].device
        return self._trunk.above(inputs, [self._kept[key].to(device) for key in of_rows])


def keys(inputs: Inputs) -> list[bytes]:
    """Return what each row is known by: 16 bytes of a hash of its tokens, padding left out, and of their segments."""
    read = [inputs[name].cpu() for name in ("input_ids", "token_type_ids") if name in inputs]
    real = inputs["attention_mask"].bool().cpu()
    return [
        blake2b(b"".join(part[row, tokens].numpy().tobytes() for part in read), digest_size=16).digest()
        for row, tokens in enumerate(real)
    ]


def caching(
    config: RunConfig,
    rows: DataModule | MixtureData,
    module: TaskModule[Any],
    frozen: Frozen,
    length: Plan,
    folder: Path,
) -> TrunkCache | str | None:
    """Return what keeps the frozen trunk's part, or why it is not kept; None: there is nothing that it would spare.

    Args:
        config: of the run.
        rows: tokenized and dealt.
        module: what trains, on the CPU.
        frozen: its part below everything that trains.
        length: of the run.
        folder: in which a file may lie.
    """
    repeats = _repeats(config, rows, length)
    if config.speed.trunk == "off" or not frozen.stack or not (repeats.training or repeats.validation):
        return None
    if why := _ruled_out(config, rows, module):
        return why
    assert isinstance(rows, DataModule)
    trunk = halved(module.model, frozen, probe_of(rows, module))
    if isinstance(trunk, str):
        return trunk
    splits = [split for split, wanted in (("train", repeats.training), ("val", repeats.validation)) if wanted]
    numbers = sum(int(rows.counts(split)[0].sum()) if trunk.of_tokens else rows.rows[split] for split in splits)
    needed = numbers * trunk.width * trunk.dtype.itemsize
    kept = room_for(
        needed,
        folder,
        memory_gb=config.speed.trunk_memory_gb,
        disk_gb=config.speed.trunk_disk_gb,
        sharing=config.hardware.devices,
    )
    if isinstance(kept, str):
        return kept
    return TrunkCache(
        trunk,
        kept,
        repeats,
        examples=rows.examples("train"),
        collate=rows.collate,
        at_once=config.micro_batch_size,
        multiplied=frozen.multiplied,
        told=f"{needed / 10**6:,.1f} MB in {kept.place} ({' and '.join(splits)} rows)",
    )


def _repeats(config: RunConfig, rows: DataModule | MixtureData, length: Plan) -> Repeats:
    """Return what a process reads twice or more; filling the cache takes it once through all training rows."""
    if length.steps is None:
        return Repeats(training=False, validation=False)
    seen = length.steps * config.optim.batch_size / config.hardware.world_size
    return Repeats(training=seen >= 2 * rows.rows["train"], validation=length.batches // length.validation_every >= 2)


def _ruled_out(config: RunConfig, rows: DataModule | MixtureData, module: TaskModule[Any]) -> str | None:
    reasons = {
        "rows of a mixture are not kept": isinstance(rows, MixtureData),
        "packed examples share rows (optim.packing)": config.optim.packing,
        "what is masked changes from epoch to epoch": module.task.name == MASKED_LM.name,
        "its weights are shared out (hardware.strategy=fsdp)": config.hardware.strategy == "fsdp",
        "int8 weights round a row by the others of its batch": config.quant.name == "int8",
    }
    return next((reason for reason, given in reasons.items() if given), None)


def probe_of(rows: DataModule, module: TaskModule[Any]) -> Inputs:
    """Return a few rows, the first of which is cut in half, so that some of the batch is padding."""
    inputs = inputs_of(rows.probe_batch())
    real = inputs["attention_mask"].bool()
    spare = real[0].nonzero()[:, 0]
    spare = spare[: len(spare) // 2] if rows.posed.padding_side == "left" else spare[(len(spare) + 1) // 2 :]
    pad = getattr(module.model.config, "pad_token_id", None)
    return {
        name: value.index_put((torch.tensor(0), spare), torch.tensor((pad or 0) if name == "input_ids" else 0))
        for name, value in inputs.items()
    }
