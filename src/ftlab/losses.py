"""What is optimised, as a group of the configuration, and which tasks each part of it fits. The maths is in tasks."""

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

_ONE_CLASS, _LABELS, _NUMBERS = "classification", "multilabel", "regression"
_DISTANCES = ("mse", "mae", "huber")

Name = Literal["default", "cross_entropy", "focal", "mse", "mae", "huber"]


class LossConfig(BaseModel):
    """The loss that training minimises. Validation and test report the task's own, so that runs stay comparable."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    name: Name = "default"  # default: cross entropy (of multi-label data for each label), of numbers mse
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)  # of cross entropy over classes
    # balanced: by how rare a class is; or a number for each class in the order of the record's labels. Of multi-label
    # data, how much a row that has the label counts.
    class_weights: Literal["balanced"] | Annotated[list[float], Field(min_length=1)] | None = None
    gamma: float | None = Field(default=None, ge=0)  # focal: how much less examples count that are right already
    contrastive: float = Field(default=0.0, ge=0)  # weight of the supervised contrastive loss that is added; 0: none
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
        """Return one sentence on what of this does not fit a task, without its full stop; None: all does."""
        if self.name in _DISTANCES and task != _NUMBERS:
            return f"loss={self.name} measures numbers and dataset.task={task} has none: use loss=default"
        if self.name == "cross_entropy" and task == _NUMBERS:
            return "loss=cross_entropy needs classes and dataset.task=regression has numbers: use loss=mse"
        parts = {
            "loss=focal": (self.name == "focal", (_ONE_CLASS, _LABELS)),
            "loss.class_weights": (self.class_weights is not None, (_ONE_CLASS, _LABELS)),
            "loss.label_smoothing": (self.label_smoothing > 0, (_ONE_CLASS,)),
            "loss.contrastive": (self.contrastive > 0, (_ONE_CLASS,)),
        }
        for part, (given, fits) in parts.items():
            if given and task not in fits:
                return f"{part} is for dataset.task={' and '.join(fits)}, not for {task}: leave it out"
        return None
