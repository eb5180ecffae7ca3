"""Loss settings; which of them fit a task is up to its kind. The maths is in ftlab.tasks."""

import math
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ftlab.config.kinds import all_kinds, names_of
from ftlab.config.task_kind import LossSetting, TaskKind
from ftlab.core.errors import did_you_mean


class LossConfig(BaseModel):
    """The training loss. Validation and test report the task's default loss, so that runs stay comparable."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    name: str = "default"  # default: cross entropy (binary, per label, for multi-label data); mse for regression
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

    @field_validator("name")
    @classmethod
    def _is_a_loss_of_some_kind(cls, name: str) -> str:
        names = {"default", *(loss for kind in all_kinds() for loss in kind.losses)}
        if name not in names:
            raise ValueError(did_you_mean(name, names))
        return name

    def misfit(self, kind: TaskKind) -> str | None:
        """Return why this loss does not fit a task kind, one sentence without full stop; None: it fits."""
        if self.name not in ("default", *kind.losses):
            fitting = names_of(other for other in all_kinds() if self.name in other.losses)
            return f"loss={self.name} is for dataset.task={fitting}, not for dataset.task={kind.name}: use loss=default"
        for setting in get_args(LossSetting):
            if getattr(self, setting) and setting not in kind.loss_settings:
                fitting = names_of(other for other in all_kinds() if setting in other.loss_settings)
                return f"loss.{setting} is for dataset.task={fitting}, not for dataset.task={kind.name}: leave it out"
        return None
