"""Regression: one number per example, or several."""

from typing import Any

import torch
from torchmetrics import CatMetric, MeanMetric
from torchmetrics.functional import pearson_corrcoef, spearman_corrcoef

from ftlab.data.collate import inputs_of
from ftlab.record import Metric
from ftlab.tasks import losses
from ftlab.tasks.base import Batch, Scores, TaskModule, measured
from ftlab.tasks.classification import ALONE

_LEAST_SPREAD = 1e-6  # relative; numbers that differ by less differ by rounding


class RegressionScores(Scores):
    """Loss, mean squared and absolute error on the targets' own scale, Pearson's and Spearman's correlation.

    Of several targets each is a mean over them, and each target has its own under `mae_` and its name. A correlation
    has no value where outputs or targets are all the same.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        """Take the targets' names."""
        super().__init__()
        self.names = names
        self.loss = MeanMetric(nan_strategy="disable", **ALONE)
        self.outputs, self.targets = CatMetric("disable", **ALONE), CatMetric("disable", **ALONE)

    def update(self, outputs: torch.Tensor, targets: torch.Tensor, losses: torch.Tensor) -> None:
        """Count examples in: outputs and targets on their own scale (examples, targets), losses (examples,)."""
        self.outputs.update(outputs)
        self.targets.update(targets)
        self.loss.update(losses)

    def summarise(self) -> dict[str, Metric]:
        """See `Scores`."""
        n = int(self.loss.weight.item())
        outputs, targets = self.outputs.compute().double(), self.targets.compute().double()
        of_each = [_compared(one, other, n) for one, other in zip(outputs.T, targets.T, strict=True)]
        found = {"loss": measured(float(self.loss.compute()), n)}
        found |= {name: _mean([metrics[name] for metrics in of_each], n) for name in of_each[0]}
        if len(self.names) > 1:
            for target, metrics in zip(self.names, of_each, strict=True):
                found |= {f"{name}_{target}": metric for name, metric in metrics.items()}
        for metric in (self.loss, self.outputs, self.targets):
            metric.reset()
        return found


class Regression(TaskModule[RegressionScores]):
    """Squared error of standardised targets, or what the configuration trains with; see `RegressionScores`.

    The loss of validation and test is the squared error of standardised targets, a mean over them, whatever was trained
    with: the mean of the training rows as every answer gives about 1.
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

    def loss(self, batch: Batch) -> torch.Tensor:
        """Return the mean training loss over examples and targets."""
        return losses.distance(self._outputs(batch), batch["labels"], self.task.loss)

    def evaluate(self, batch: Batch, scores: RegressionScores) -> list[dict[str, Any]]:
        """Score each example; `label` and `prediction` are numbers, of several targets lists of them."""
        outputs, targets = self._outputs(batch), batch["labels"]
        of_each = (outputs - targets).square().mean(-1)
        outputs, targets = outputs * self.scales + self.means, targets * self.scales + self.means
        scores.update(outputs, targets, of_each)
        several = len(self.task.labels) > 1
        return [
            {
                "index": index,
                "label": label if several else label[0],
                "prediction": prediction if several else prediction[0],
                "loss": loss,
            }
            for index, label, prediction, loss in zip(
                batch["index"].tolist(), targets.tolist(), outputs.tolist(), of_each.tolist(), strict=True
            )
        ]

    def _outputs(self, batch: Batch) -> torch.Tensor:
        return self.method.forward(self.model, inputs_of(batch)).float()


def _compared(outputs: torch.Tensor, targets: torch.Tensor, n: int) -> dict[str, Metric]:
    """Return the metrics of one target, outputs and targets (examples,)."""
    errors = outputs - targets
    found = {"mse": measured(float(errors.square().mean()), n), "mae": measured(float(errors.abs().mean()), n)}
    constant = [what for what, numbers in (("outputs", outputs), ("targets", targets)) if _is_constant(numbers)]
    for name, correlation in (("pearson", pearson_corrcoef), ("spearman", spearman_corrcoef)):
        if constant:
            found[name] = Metric(value=None, n=n, status=f"all {constant[0]} are the same")
        else:
            found[name] = measured(float(correlation(*map(_scaled, (outputs, targets)))), n)
    return found


def _is_constant(numbers: torch.Tensor) -> bool:
    return not float(numbers.max() - numbers.min()) > _LEAST_SPREAD * float(numbers.abs().max())


def _scaled(numbers: torch.Tensor) -> torch.Tensor:
    """Numbers with a spread of one: no correlation depends on it, and torchmetrics warns of small ones."""
    return (numbers - numbers.mean()) / (numbers.max() - numbers.min())


def _mean(metrics: list[Metric], n: int) -> Metric:
    values = [metric.value for metric in metrics if metric.value is not None]
    if len(values) < len(metrics):
        return next(metric for metric in metrics if metric.value is None)
    return measured(sum(values) / len(values), n)
