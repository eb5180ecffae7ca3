"""Expected calibration error over equal bins of confidence (Guo et al., 2017), and the bins themselves."""

from typing import Any

import torch
from torchmetrics import Metric

BINS = 15


def confidence_bins(confidences: torch.Tensor) -> torch.Tensor:
    """Return the bin of each confidence, 0 to `BINS` - 1: bin m holds those above m / `BINS` up to (m + 1) / `BINS`.

    A confidence of 0 belongs to the first bin.

    Args:
        confidences: probabilities of the predicted classes.
    """
    edges = torch.linspace(0, 1, BINS + 1, dtype=confidences.dtype, device=confidences.device)
    return torch.bucketize(confidences, edges[1:-1])


class CalibrationError(Metric):
    """Mean over the examples of the distance between accuracy and mean confidence in their bin.

    torchmetrics 1.9.0 gives a confidence of exactly 1 a bin of its own, a sixteenth one, in which nothing cancels out.
    """

    full_state_update = False

    def __init__(self, **options: Any) -> None:
        """Start without examples; `options`: those of every metric of torchmetrics."""
        super().__init__(**options)
        self.counts: torch.Tensor
        self.surplus: torch.Tensor  # hits minus confidence
        for name in ("counts", "surplus"):
            self.add_state(name, torch.zeros(BINS), dist_reduce_fx="sum")  # MPS has no float64

    def update(self, probabilities: torch.Tensor, labels: torch.Tensor) -> None:
        """Add examples: probabilities (examples, classes) and labels (examples,)."""
        confidences, predicted = probabilities.max(-1)
        bins = confidence_bins(confidences)
        surplus = (predicted == labels).float() - confidences.float()
        self.counts.index_add_(0, bins, torch.ones_like(surplus))
        self.surplus.index_add_(0, bins, surplus)

    def compute(self) -> torch.Tensor:
        """Return the error, a scalar; not a number without examples."""
        return self.surplus.abs().sum() / self.counts.sum()
