"""Reference losses: the loss of guessing by the labels of the training rows alone, for the check of overfitting."""

import math

from ftlab.config.task import Task


def class_entropy(task: Task) -> float | None:
    """Return the entropy of the class shares in nats; None if they are unknown."""
    return _entropy(task.label_shares) if task.label_shares else None


def mean_label_entropy(task: Task) -> float | None:
    """Return the mean over the labels of the entropy of having the label, in nats; None if the shares are unknown."""
    if not task.label_shares:
        return None
    return sum(_entropy((share, 1 - share)) for share in task.label_shares) / len(task.label_shares)


def target_variance(task: Task) -> float | None:
    """Return the variance of the standardised targets, 1; None if they are not standardised."""
    return 1.0 if any(scale != 1 for scale in task.target_scales) else None


def _entropy(shares: tuple[float, ...]) -> float:
    return -sum(share * math.log(share) for share in shares if share > 0)
