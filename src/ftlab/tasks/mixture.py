"""Several tasks on one model: each row is answered, learned and scored by the outputs of its own part alone."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ftlab import tasks
from ftlab.data.collate import IGNORED
from ftlab.methods.base import TuningMethod
from ftlab.models.load import Base
from ftlab.record import Metric
from ftlab.tasks.base import Batch, Scores, TaskModule, measured
from ftlab.tasks.spec import Task

_OF_ALL = ("loss",)  # what every part has, whatever its task


@dataclass(kw_only=True)
class OwnOutputs(TuningMethod):
    """A method as one part of a mixture sees it.

    Attributes:
        whole: the run's method.
        outputs: those of the part, among the outputs of the head that all parts share.
    """

    whole: TuningMethod
    outputs: slice

    def apply(self, base: Base, task: Task) -> nn.Module:
        """See `TuningMethod`; it is the whole that is made trainable."""
        return self.whole.apply(base, task)

    def forward(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Return the logits of the part's own outputs."""
        return self.whole.forward(model, batch)[..., self.outputs]


class MixtureScores(Scores):
    """The scores of each part, under its name and a slash; and means over the parts, each counting alike.

    Of a metric there is a mean where every part has its column, as accuracy of several classifications; of the loss
    always: it is what is watched for the best checkpoint.
    """

    def __init__(self, parts: dict[str, Scores], means: tuple[str, ...]) -> None:
        """Take the scores of the parts, and the metrics to take means of."""
        super().__init__()
        self.parts = nn.ModuleDict(parts)
        self.means = means

    def summarise(self) -> dict[str, Metric]:
        """See `Scores`."""
        of_parts = {name: scores.summarise() for name, scores in self.parts.items() if isinstance(scores, Scores)}
        found = {name: _mean([metrics[name] for metrics in of_parts.values()]) for name in (*_OF_ALL, *self.means)}
        for name, metrics in of_parts.items():
            found |= {f"{name}/{metric}": value for metric, value in metrics.items()}
        return found


class Mixture(TaskModule[MixtureScores]):
    """Each part's own loss on its rows; over a step the mean of all, in which each example (or token) counts alike."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """See `TaskModule`."""
        super().__init__(*args, **kwargs)
        self.parts = nn.ModuleDict(self._part_modules())
        kinds = {(part.name, len(part.labels) if part.name == "regression" else 0) for _, part in self.task.parts}
        self._as_text = len(kinds) > 1  # answers of several kinds share a column

    def new_scores(self) -> MixtureScores:
        """See `TaskModule`."""
        means = tuple(column.metric for column in self.task.columns if "/" not in column.metric)
        return MixtureScores({name: module.new_scores() for name, module in self._part_modules().items()}, means)

    def loss(self, batch: Batch) -> torch.Tensor:
        """Return the mean training loss over what the parts count: examples, or labelled tokens."""
        losses, counts = [], []
        for name, rows in self._parted(batch):
            count = self._counted(rows)
            losses.append(self._part(name).loss(rows) * count)
            counts.append(count)
        return torch.stack(losses).sum() / torch.stack(counts).sum().clamp(min=1)

    def evaluate(self, batch: Batch, scores: MixtureScores) -> list[dict[str, Any]]:
        """Score each row by its own part; `task` of a prediction is the part's name."""
        found = []
        for name, rows in self._parted(batch):
            of_part = scores.parts[name]
            assert isinstance(of_part, Scores)
            found += [{"task": name, **self._row(row)} for row in self._part(name).evaluate(rows, of_part)]
        return found

    def _part_modules(self) -> dict[str, TaskModule[Any]]:
        return {
            name: tasks.build(
                part,
                self.model,
                OwnOutputs(whole=self.method, outputs=self.task.outputs(name)),
                self.make_optimizer,
                logits=self.logits,
            )
            for name, part in self.task.parts
        }

    def _part(self, name: str) -> TaskModule[Any]:
        module = self.parts[name]
        assert isinstance(module, TaskModule)
        return module

    def _parted(self, batch: Batch) -> Iterator[tuple[str, Batch]]:
        """Yield the rows of each part that the batch has, with answers as the part has them."""
        of_rows = batch["part"]
        for number in sorted(set(of_rows.tolist())):
            name, task = self.task.parts[number]
            mine = of_rows == number
            rows = {key: value[mine] for key, value in batch.items() if key not in ("part", "share")}
            yield name, {**rows, "labels": _own(task, rows["labels"])}

    def _counted(self, rows: Batch) -> torch.Tensor:
        """Return how many losses the mean over these rows is taken of, as `DataModule.learned` counts them."""
        labels = rows["labels"]
        if self.task.auto_class == "AutoModelForSequenceClassification":
            return torch.tensor(len(labels), device=labels.device)
        first = 1 if self.task.auto_class == "AutoModelForCausalLM" else 0
        return (labels[:, first:] != IGNORED).sum()

    def _row(self, row: dict[str, Any]) -> dict[str, Any]:
        if not self._as_text:
            return row
        return {key: _text(value) if key in ("label", "prediction") else value for key, value in row.items()}


def _own(task: Task, labels: torch.Tensor) -> torch.Tensor:
    """Return the answers of a part's rows as its own module has them; see `data.mixture.Joined`."""
    if task.auto_class != "AutoModelForSequenceClassification":
        return labels
    return labels[:, 0].long() if task.problem == "single_label_classification" else labels[:, : len(task.labels)]


def _mean(metrics: list[Metric]) -> Metric:
    missing = next((metric for metric in metrics if metric.value is None), None)
    if missing is not None:
        return missing
    return measured(sum(metric.value or 0.0 for metric in metrics) / len(metrics), sum(metric.n for metric in metrics))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
