"""Loss settings, and the tasks that each of them fits. The maths is in ftlab.tasks."""

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

_ONE_CLASS, _LABELS, _NUMBERS = "classification", "multilabel", "regression"
_DISTANCES = ("mse", "mae", "huber")

LossName = Literal["default", "cross_entropy", "focal", "mse", "mae", "huber"]


class LossConfig(BaseModel):
    """The training loss. Validation and test report the task's default loss, so that runs stay comparable."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    name: LossName = "default"  # default: cross entropy (binary, per label, for multi-label data); mse for regression
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)  # for cross entropy over classes
    # balanced: inversely to a class's frequency; or a number for each class, in the order of the record's labels. For
    # multi-label data: the weight of rows that have the label.
    class_weights: Literal["balanced"] | Annotated[list[float], Field(min_length=1)] | None = None
    gamma: float | None = Field(default=None, ge=0)  # focal: the larger, the less well-classified examples count
    contrastive: float = Field(default=0.0, ge=0)  # weight of the added supervised contrastive loss; 0: none
    temperature: float = Field(default=0.1, gt=0)  # of the contrastive loss

    @model_validator(mode="after")
    def _settings_belong_to_the_loss(self) -> "LossConfig":
        if (self.name == "focal") != (self.gamma is not None):
            raise ValueError("loss.gamma belongs to loss=focal: set both, or neither")
        if self.label_smoothing and self.name not in ("default", "cross_entropy"):
            raise ValueError(f"loss.label_smoothing smooths cross entropy, not {self.name}: use loss=cross_entropy")
        if isinstance(self.class_weights, list) and min(self.class_weights) < 0:
            raise ValueError("loss.class_weights has a negative weight: give 0 or more")
        if isinstance(self.class_weights, list) and not math.fsum(self.class_weights):
            raise ValueError("loss.class_weights are all 0, so that nothing is learned: give one above 0")
        return self

    def misfit(self, task: str) -> str | None:
        """Return why this loss does not fit a task, one sentence without full stop; None: it fits."""
        if self.name in _DISTANCES and task != _NUMBERS:
            return f"loss={self.name} measures numbers, and dataset.task={task} has none: use loss=default"
        if self.name == "cross_entropy" and task == _NUMBERS:
            return "loss=cross_entropy needs classes, and dataset.task=regression has numbers: use loss=mse"
        settings = {
            "loss=focal": (self.name == "focal", (_ONE_CLASS, _LABELS)),
            "loss.class_weights": (self.class_weights is not None, (_ONE_CLASS, _LABELS)),
            "loss.label_smoothing": (self.label_smoothing > 0, (_ONE_CLASS,)),
            "loss.contrastive": (self.contrastive > 0, (_ONE_CLASS,)),
        }
        for setting, (is_set, tasks) in settings.items():
            if is_set and task not in tasks:
                return f"{setting} is for dataset.task={' and '.join(tasks)}, not for {task}: leave it out"
        return None
