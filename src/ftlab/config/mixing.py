"""Mixing rates of several data sets: the settings, and the sampling probabilities they give. Imports no torch."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ftlab.core.errors import ConfigError, did_you_mean

MixingRule = Literal["weights", "proportional", "equal", "temperature"]


class MixingConfig(BaseModel):
    """How often rows of each part are sampled in training; validation and test use every row of every part once."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    # proportional: to the training rows; temperature: to rows^(1/T); equal: all alike; weights: as set
    by: MixingRule = "proportional"
    weights: dict[str, Annotated[float, Field(gt=0)]] | None = None  # part -> weight; normalised
    temperature: float | None = Field(default=None, ge=1)  # T; 1: proportional; the larger, the closer to equal
    cap: int | None = Field(default=None, ge=1)  # artificial limit on a part's rows, K of Raffel et al.; null: none

    @model_validator(mode="after")
    def _settings_belong_together(self) -> "MixingConfig":
        if (self.by == "weights") != bool(self.weights):
            raise ValueError("dataset.mixing.weights belongs to dataset.mixing.by=weights: set both, or neither")
        if (self.by == "temperature") != (self.temperature is not None):
            raise ValueError(
                "dataset.mixing.temperature belongs to dataset.mixing.by=temperature: set both, or neither"
            )
        if self.cap is not None and self.by not in ("proportional", "temperature"):
            raise ValueError(
                f"dataset.mixing.cap limits the rows of a part, and by={self.by} counts no rows: set it to null"
            )
        return self

    def require_weights_of(self, parts: Mapping[str, object]) -> None:
        """Check that `weights`, if set, has one weight for each part.

        Raises:
            ConfigError: a part has no weight, or a weight has no part.
        """
        for name in self.weights or {}:
            if name not in parts:
                raise ConfigError(f"dataset.mixing.weights.{name} names no part: {did_you_mean(name, parts)}.")
        for name in parts if self.weights else ():
            if name not in (self.weights or {}):
                raise ConfigError(f"dataset.mixing.weights has none for {name}: set dataset.mixing.weights.{name}.")

    def sampling_probabilities(self, rows: Mapping[str, int]) -> dict[str, float]:
        """Return part -> probability that a training row is sampled from it; they add up to 1.

        Raffel et al., 2020, "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer",
        section 3.5.2: rates are min(rows, cap), raised to 1/T.

        Args:
            rows: part -> number of training rows in use.
        """
        if self.by == "weights":
            self.require_weights_of(rows)
            rates = dict(self.weights or {})
        elif self.by == "equal":
            rates = dict.fromkeys(rows, 1.0)
        else:
            cap = self.cap or max(rows.values())
            rates = {name: min(count, cap) ** (1 / (self.temperature or 1.0)) for name, count in rows.items()}
        total = sum(rates.values())
        return {name: rates[name] / total for name in rows}
