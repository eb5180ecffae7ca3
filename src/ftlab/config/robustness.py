"""Groups of the run configuration for the evaluation after training."""

from typing import Any

from pydantic import Field

from ftlab.config.groups import Group
from ftlab.record import Perturbation


class ForgettingConfig(Group):
    """General text on which a language model is evaluated before and after training."""

    rows: int = Field(default=0, ge=0)  # examples of max_length tokens; 0: not evaluated
    # _target_: function that returns the rows of each split, and its arguments; the training rows are used
    source: dict[str, Any] = Field(default_factory=lambda: {"_target_": "ftlab.data.sources.wheels.bbc_news"})
    column: str = "text"


class RobustnessConfig(Group):
    """Robustness evaluation after training, on the same rows for every method and seed; not part of the result."""

    name: str = "none"
    rows: int = Field(default=0, ge=0)  # maximum test rows to perturb, and training rows to check for overfitting
    perturbations: list[Perturbation] = Field(default_factory=list)
    classes: int = Field(default=0, ge=0)  # maximum number of classes with scores of their own
    slices: int = Field(default=0, ge=0)  # maximum number of values of dataset.columns.slice with scores; 0: no slices
    checks: bool = False  # check that the base model is restored bit for bit when the method is switched off
    forgetting: ForgettingConfig = Field(default_factory=ForgettingConfig)
