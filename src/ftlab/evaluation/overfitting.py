"""Over- and underfitting, from the losses on training and validation rows."""

from ftlab.record import Fit, Metric

# A run overfits if the validation loss exceeds the training loss by at least half of the reference loss (that of
# guessing by frequency) and by at least half of the training loss. Losses are those of the best checkpoint, so a run
# that merely trains too long is not reported.
OVERFITTING_GAP = 0.5  # share of the reference loss
OVERFITTING_RATIO = 1.5  # validation loss / training loss
# Language models have no reference loss: a nat per token replaces it. The perplexity is then 1.65 times as high.
LANGUAGE_MODEL_REFERENCE = 1.0
# A run underfits if even the training loss is hardly below the reference loss.
UNDERFITTING_LOSS = 0.95  # share of the reference loss
MIN_ROWS = 50  # of each split; the mean loss of fewer is too noisy
MIN_STEPS = 50  # optimizer steps; no warning about underfitting in shorter runs, which are trials


def compare_losses(train: Metric, val: Metric, *, train_rows: int, val_rows: int, reference: float | None) -> Fit:
    """Compare training and validation loss of the same weights.

    Args:
        train: loss on a sample of the training rows, without dropout.
        val: loss on the validation split.
        train_rows: number of rows behind `train`.
        val_rows: number of rows behind `val`.
        reference: loss of guessing by the label frequencies of the training rows; None: unknown.
    """
    fit = Fit(
        train=train.value,
        val=val.value,
        gap=None if train.value is None or val.value is None else val.value - train.value,
        reference=reference,
        train_rows=train_rows,
        verdict="unknown",
    )
    if fit.gap is None or train.value is None or val.value is None or min(train_rows, val_rows) < MIN_ROWS:
        return fit
    min_gap = OVERFITTING_GAP * (LANGUAGE_MODEL_REFERENCE if reference is None else reference)
    if fit.gap >= min_gap and val.value >= train.value * OVERFITTING_RATIO:
        return fit.model_copy(update={"verdict": "overfitting"})
    if reference is not None and train.value >= reference * UNDERFITTING_LOSS:
        return fit.model_copy(update={"verdict": "underfitting"})
    return fit.model_copy(update={"verdict": "fits"})


def fit_warning(fit: Fit, steps: int) -> str | None:
    """Return a warning with a remedy; None if there is nothing to warn about.

    Args:
        fit: the comparison.
        steps: optimizer steps of the run.
    """
    if fit.verdict == "overfitting":
        return (
            f"overfitting: the loss is {fit.train:.2f} on training rows and {fit.val:.2f} on validation rows: train on "
            "more rows or fewer epochs, set budget.patience, or lower optim.lr."
        )
    if fit.verdict == "underfitting" and steps >= MIN_STEPS:
        return (
            f"underfitting: the loss is {fit.train:.2f} even on training rows, about that of guessing by frequency "
            f"({fit.reference:.2f}): train longer, or raise optim.lr."
        )
    return None
