"""Regression: one number per example, or several."""

from typing import Any

import torch
from torchmetrics import CatMetric, MeanMetric
from torchmetrics.functional import pearson_corrcoef, spearman_corrcoef

from ftlab.core.batch import Batch, model_inputs
from ftlab.record import Metric
from ftlab.tasks import reference_loss, sequence_losses
from ftlab.tasks.base import Scores, TaskModule, finite_metrics
from ftlab.tasks.classification import NO_SYNC

_MIN_RELATIVE_RANGE = 1e-6  # smaller differences are rounding errors


class RegressionScores(Scores):
    """Loss, mean squared and absolute error on the targets' own scale, Pearson's and Spearman's correlation.

    With several targets, each metric is a mean over them, and each target's own is `mae_` (`mse_`, …) and its name. A
    correlation has no value if all outputs or all targets are the same.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        """Create the metrics for the targets of these names."""
        super().__init__()
        self.names = names
        self.loss = MeanMetric(nan_strategy="disable", **NO_SYNC)
        self.outputs, self.targets = CatMetric("disable", **NO_SYNC), CatMetric("disable", **NO_SYNC)

    def update(self, outputs: torch.Tensor, targets: torch.Tensor, losses: torch.Tensor) -> None:
        """Add examples: outputs and targets on their own scale (examples, targets), losses (examples,)."""
        self.outputs.update(outputs)
        self.targets.update(targets)
        self.loss.update(losses)

    def compute(self) -> dict[str, Metric]:
        """See `Scores`."""
        n = int(self.loss.weight.item())
        outputs, targets = self.outputs.compute().double(), self.targets.compute().double()
        columns = zip(outputs.T, targets.T, strict=True)
        by_target = [_target_metrics(target_outputs, target, n) for target_outputs, target in columns]
        combined = {"loss": finite_metrics(float(self.loss.compute()), n)}
        combined |= {name: _mean([metrics[name] for metrics in by_target], n) for name in by_target[0]}
        if len(self.names) > 1:
            for target_name, metrics in zip(self.names, by_target, strict=True):
                combined |= {f"{name}_{target_name}": metric for name, metric in metrics.items()}
        for metric in (self.loss, self.outputs, self.targets):
            metric.reset()
        return combined


class Regression(TaskModule[RegressionScores]):
    """Regression with squared error of standardised targets or the configured training loss; see `RegressionScores`.

    The validation and test loss is always the squared error of standardised targets, averaged over the targets: always
    predicting the mean of the training rows gives about 1.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """See `TaskModule`."""
        super().__init__(*args, **kwargs)
        self.means: torch.Tensor
        self.scales: torch.Tensor
        self.register_buffer("means", torch.tensor(self.task.target_means), persistent=False)
        self.register_buffer("scales", torch.tensor(self.task.target_scales), persistent=False)

    def new_scores(self) -> RegressionScores:
        """See `TaskModule`."""
        return RegressionScores(self.task.labels)

    def reference_loss(self) -> float | None:
        """See `TaskModule`: the variance of standardised targets."""
        return reference_loss.target_variance(self.task)

    def loss(self, batch: Batch) -> torch.Tensor:
        """Return the mean training loss over examples and targets."""
        return sequence_losses.regression_loss(self._outputs(batch), batch["labels"], self.task.loss)

    def evaluate(self, batch: Batch, scores: RegressionScores) -> list[dict[str, Any]]:
        """Score each example; `label` and `prediction` are numbers, or lists of numbers with several targets."""
        outputs, targets = self._outputs(batch), batch["labels"]
        losses = (outputs - targets).square().mean(-1)
        outputs, targets = outputs * self.scales + self.means, targets * self.scales + self.means
        scores.update(outputs, targets, losses)
        several = len(self.task.labels) > 1
        return [
            {
                "index": index,
                "label": label if several else label[0],
                "prediction": prediction if several else prediction[0],
                "loss": loss,
            }
            for index, label, prediction, loss in zip(
                batch["index"].tolist(), targets.tolist(), outputs.tolist(), losses.tolist(), strict=True
            )
        ]

    def _outputs(self, batch: Batch) -> torch.Tensor:
        return self.method.forward(self.model, model_inputs(batch)).float()


def _target_metrics(outputs: torch.Tensor, targets: torch.Tensor, n: int) -> dict[str, Metric]:
    """Return the metrics of one target; outputs and targets: (examples,)."""
    errors = outputs - targets
    metrics = {
        "mse": finite_metrics(float(errors.square().mean()), n),
        "mae": finite_metrics(float(errors.abs().mean()), n),
    }
    constant = [name for name, values in (("outputs", outputs), ("targets", targets)) if _is_constant(values)]
    for name, correlation in (("pearson", pearson_corrcoef), ("spearman", spearman_corrcoef)):
        if constant:
            metrics[name] = Metric(value=None, n=n, status=f"all {constant[0]} are the same")
        else:
            metrics[name] = finite_metrics(float(correlation(*map(_scaled, (outputs, targets)))), n)
    return metrics


def _is_constant(values: torch.Tensor) -> bool:
    return not float(values.max() - values.min()) > _MIN_RELATIVE_RANGE * float(values.abs().max())


def _scaled(values: torch.Tensor) -> torch.Tensor:
    """Scale values to a range of 1; correlations do not change, and torchmetrics warns about small variances."""
    return (values - values.mean()) / (values.max() - values.min())


def _mean(metrics: list[Metric], n: int) -> Metric:
    values = [metric.value for metric in metrics if metric.value is not None]
    if len(values) < len(metrics):
        return next(metric for metric in metrics if metric.value is None)
    return finite_metrics(sum(values) / len(values), n)
