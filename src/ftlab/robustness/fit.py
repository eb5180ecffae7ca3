"""Over- and underfitting: the loss on training rows against that on validation rows."""

import math

from ftlab.record import Fit, Metric
from ftlab.tasks.spec import MULTILABEL, REGRESSION, Task

# A run is called overfitting where validation is worse by half of what there is to be learned (`reference`, the loss of
# guessing by frequency), and by half of the training loss as well. The best checkpoint is what is measured, so a model
# that merely goes on too long stays below.
OVER_SHARE = 0.5  # of the reference
OVER_RATIO = 1.5  # validation loss over training loss
OVER_NATS = (
    1.0  # language models have no such reference: a nat per token stands for it, a perplexity 1.65 times as high
)
# Underfitting: even training rows are hardly better than guessed.
UNDER_SHARE = 0.95  # of the reference
LEAST_ROWS = 50  # rows of either kind, below which a mean loss says little
LEAST_STEPS = 50  # optimizer steps; a shorter run is a trial, of which nobody needs to be told that it learned little


def reference(task: Task) -> float | None:
    """Return the loss of an answer that knows nothing but the training rows' frequencies; None: there is none.

    Entropy of the class shares, of several labels the mean over them; of standardised targets their variance, 1.
    """
    if task.name == REGRESSION.name:
        return 1.0 if any(scale != 1 for scale in task.target_scales) else None
    if not task.label_shares:
        return None
    if task.name == MULTILABEL.name:
        parts = [_entropy((share, 1 - share)) for share in task.label_shares]
        return sum(parts) / len(parts)
    return _entropy(task.label_shares)


def fit(train: Metric, val: Metric, *, train_rows: int, val_rows: int, task: Task) -> Fit:
    """Compare two losses of the same weights.

    Args:
        train: on a sample of the training rows, without dropout.
        val: on the validation split.
        train_rows: how many rows are behind the first,
        val_rows: and behind the second.
        task: tells what there is to be learned.
    """
    known = reference(task)
    found = Fit(
        train=train.value,
        val=val.value,
        gap=None if train.value is None or val.value is None else val.value - train.value,
        reference=known,
        train_rows=train_rows,
        verdict="unknown",
    )
    if found.gap is None or train.value is None or val.value is None or min(train_rows, val_rows) < LEAST_ROWS:
        return found
    least = OVER_NATS * OVER_SHARE if known is None else known * OVER_SHARE
    if found.gap >= least and val.value >= train.value * OVER_RATIO:
        return found.model_copy(update={"verdict": "overfitting"})
    if known is not None and train.value >= known * UNDER_SHARE:
        return found.model_copy(update={"verdict": "underfitting"})
    return found.model_copy(update={"verdict": "fits"})


def sentence(fit: Fit, steps: int) -> str | None:
    """Return a warning with a remedy; None where there is nothing to warn of.

    Args:
        fit: the comparison.
        steps: optimizer steps of the run.
    """
    if fit.verdict == "overfitting":
        return (
            f"overfitting: the loss is {fit.train:.2f} on training rows and {fit.val:.2f} on validation rows: train on "
            "more rows or fewer epochs, set budget.patience, or lower optim.lr."
        )
    if fit.verdict == "underfitting" and steps >= LEAST_STEPS:
        return (
            f"underfitting: the loss is {fit.train:.2f} even on training rows, about that of guessing by frequency "
            f"({fit.reference:.2f}): train longer, or raise optim.lr."
        )
    return None


def _entropy(shares: tuple[float, ...]) -> float:
    return -sum(share * math.log(share) for share in shares if share > 0)
