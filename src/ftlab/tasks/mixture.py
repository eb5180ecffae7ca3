"""Multi-task training on one model, where each row uses only the head outputs of its own part of the mixture."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ftlab import tasks
from ftlab.config.task import Task
from ftlab.core.batch import IGNORE_INDEX, Batch
from ftlab.methods.base import TuningMethod
from ftlab.models.load import Base
from ftlab.record import Metric
from ftlab.tasks.base import Scores, TaskModule, finite_metrics

_SHARED_METRICS = ("loss",)  # metrics that every task has


@dataclass(kw_only=True)
class PartOutputs(TuningMethod):
    """The run's method, restricted to the head outputs of one part of a mixture.

    Attributes:
        method: the run's method.
        outputs: the part's outputs among those of the head that all parts share.
    """

    method: TuningMethod
    outputs: slice

    def apply(self, base: Base, task: Task) -> nn.Module:
        """See `TuningMethod`."""
        return self.method.apply(base, task)

    def forward(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Return the logits of the part's own outputs."""
        return self.method.forward(model, batch)[..., self.outputs]


class MixtureScores(Scores):
    """Metrics of each part, prefixed with its name and a slash, and unweighted means over the parts.

    There is a mean of every metric that all parts show (such as accuracy if all are classifications), and always of the
    loss, which is monitored for the best checkpoint.
    """

    def __init__(self, parts: dict[str, Scores], means: tuple[str, ...]) -> None:
        """Combine the scores of the parts; `means`: the metrics to average over them."""
        super().__init__()
        self.parts = nn.ModuleDict(parts)
        self.means = means

    def compute(self) -> dict[str, Metric]:
        """See `Scores`."""
        by_part = {name: scores.compute() for name, scores in self.parts.items() if isinstance(scores, Scores)}
        averaged = (*_SHARED_METRICS, *self.means)
        combined = {name: _mean([metrics[name] for metrics in by_part.values()]) for name in averaged}
        for name, metrics in by_part.items():
            combined |= {f"{name}/{metric}": value for metric, value in metrics.items()}
        return combined


class Mixture(TaskModule[MixtureScores]):
    """Each part's loss on its own rows; the loss of a step averages over all examples (or tokens) equally."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """See `TaskModule`."""
        super().__init__(*args, **kwargs)
        self.parts = nn.ModuleDict(self._part_modules())
        kinds = {(part.name, len(part.labels) if part.kind.predicts == "numbers" else 0) for _, part in self.task.parts}
        self._as_text = len(kinds) > 1  # predictions of several types share a column

    def new_scores(self) -> MixtureScores:
        """See `TaskModule`."""
        means = tuple(column.metric for column in self.task.columns if "/" not in column.metric)
        return MixtureScores({name: module.new_scores() for name, module in self._part_modules().items()}, means)

    def loss(self, batch: Batch) -> torch.Tensor:
        """Return the mean training loss over the examples, or the labelled tokens, of all parts."""
        losses, counts = [], []
        for name, rows in self._split_by_part(batch):
            count = self._loss_count(rows)
            losses.append(self._part(name).loss(rows) * count)
            counts.append(count)
        return torch.stack(losses).sum() / torch.stack(counts).sum().clamp(min=1)

    def evaluate(self, batch: Batch, scores: MixtureScores) -> list[dict[str, Any]]:
        """Evaluate each row with its own part; `task` of a prediction is the part's name."""
        predictions = []
        for name, rows in self._split_by_part(batch):
            part_scores = scores.parts[name]
            assert isinstance(part_scores, Scores)
            evaluated = self._part(name).evaluate(rows, part_scores)
            predictions += [{"task": name, **self._as_recorded(prediction)} for prediction in evaluated]
        return predictions

    def _part_modules(self) -> dict[str, TaskModule[Any]]:
        return {
            name: tasks.build_task(
                part,
                self.model,
                PartOutputs(method=self.method, outputs=self.task.output_slice(name)),
                self.make_optimizer,
                logits=self.logits,
            )
            for name, part in self.task.parts
        }

    def _part(self, name: str) -> TaskModule[Any]:
        module = self.parts[name]
        assert isinstance(module, TaskModule)
        return module

    def _split_by_part(self, batch: Batch) -> Iterator[tuple[str, Batch]]:
        """Yield name and rows of each part in the batch, with labels in the part's own format."""
        part_of_row = batch["part"]
        for number in sorted(set(part_of_row.tolist())):
            name, task = self.task.parts[number]
            selected = part_of_row == number
            rows = {key: value[selected] for key, value in batch.items() if key not in ("part", "loss_weight")}
            yield name, {**rows, "labels": _part_labels(task, rows["labels"])}

    def _loss_count(self, rows: Batch) -> torch.Tensor:
        """Return the number of losses that the mean over these rows averages, as in `num_loss_tokens` of the data."""
        labels = rows["labels"]
        if self.task.head.labels_whole_text:
            return torch.tensor(len(labels), device=labels.device)
        return (labels[:, self.task.first_predicted :] != IGNORE_INDEX).sum()

    def _as_recorded(self, prediction: dict[str, Any]) -> dict[str, Any]:
        if not self._as_text:
            return prediction
        return {key: _text(value) if key in ("label", "prediction") else value for key, value in prediction.items()}


def _part_labels(task: Task, labels: torch.Tensor) -> torch.Tensor:
    """Return the labels of a part's rows in the format of its own task; see `ftlab.data.mixture`."""
    if not task.head.labels_whole_text:
        return labels
    return labels[:, 0].long() if task.problem == "single_label_classification" else labels[:, : len(task.labels)]


def _mean(metrics: list[Metric]) -> Metric:
    missing = next((metric for metric in metrics if metric.value is None), None)
    if missing is not None:
        return missing
    return finite_metrics(
        sum(metric.value or 0.0 for metric in metrics) / len(metrics), sum(metric.n for metric in metrics)
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
