"""Inputs of the robustness evaluation, which are prepared before training."""

from dataclasses import dataclass, field

import torch

from ftlab.core.batch import Batch
from ftlab.data.encoding.masking import Masking
from ftlab.data.loading.collate import Collate
from ftlab.evaluation.batches import Batches
from ftlab.record import Metric


@dataclass
class RobustnessInputs:
    """Inputs that have to be prepared while the rows and the unmodified base are available.

    Attributes:
        collate: makes batches.
        masking: for masked language models.
        unperturbed: a sample of the test rows.
        perturbed: perturbation -> the same rows perturbed, the share of rows whose text changed, and the share of rows
            whose tokens changed.
        lengths: of each test row, in `unit`; empty for generative data, which counts tokens.
        unit: of the lengths.
        slice_values: value of the slice column for each test row; empty if there is no such column.
        slice_column: its name.
        base_logits: a batch and the base's logits for it; None if not to be checked.
        general_text: text to measure forgetting on, and the base's loss on it; None if not measured.
        seconds: duration of the preparation.
    """

    collate: Collate
    masking: Masking | None
    unperturbed: Batches | None = None
    perturbed: dict[str, tuple[Batches, float, float]] = field(default_factory=dict)
    lengths: list[int] = field(default_factory=list)
    unit: str = "tokens"
    slice_values: list[str] = field(default_factory=list)
    slice_column: str = "slice"
    base_logits: tuple[Batch, torch.Tensor] | None = None
    general_text: tuple[Batches, dict[str, Metric]] | None = None
    seconds: float = 0.0

    @property
    def num_batches(self) -> int:
        """Number of batches that are evaluated after the test."""
        perturbed = [batches for batches, _, changed_tokens in self.perturbed.values() if changed_tokens]
        text = self.general_text[0] if self.general_text else None
        return sum(len(batches) for batches in (self.unperturbed, text, *perturbed) if batches)
