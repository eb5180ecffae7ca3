"""By what shares several data sets are mixed, as a group of the configuration and in numbers. No torch."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ftlab.errors import ConfigError, did_you_mean

By = Literal["weights", "proportional", "equal", "temperature"]


class MixingConfig(BaseModel):
    """How often rows of each part come up in training; validation and test take every row of every part once."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    # proportional: by training rows; temperature: by rows to the power of 1/T; equal: all alike; weights: as given
    by: By = "proportional"
    weights: dict[str, Annotated[float, Field(gt=0)]] | None = None  # part -> weight, of whatever sum
    temperature: float | None = Field(default=None, ge=1)  # T; 1 is proportional, and the larger the nearer to equal
    cap: int | None = Field(default=None, ge=1)  # most rows for which a part counts, the K of Raffel et al.; null: none

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
                f"dataset.mixing.cap bounds what rows count for, and by={self.by} counts none: set it null"
            )
        return self

    def require_weights_of(self, parts: Mapping[str, object]) -> None:
        """Refuse weights that are not one for each part.

        Raises:
            ConfigError: a part has none, or there is no such part.
        """
        for name in self.weights or {}:
            if name not in parts:
                raise ConfigError(f"dataset.mixing.weights.{name} belongs to no part: {did_you_mean(name, parts)}.")
        for name in parts if self.weights else ():
            if name not in (self.weights or {}):
                raise ConfigError(f"dataset.mixing.weights has none for {name}: set dataset.mixing.weights.{name}.")

    def shares(self, rows: Mapping[str, int]) -> dict[str, float]:
        """Return part -> share of the training rows that are drawn; they add up to 1.

        Raffel et al., 2020, "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer",
        section 3.5.2: rates are min(rows, cap), raised to 1/T.

        Args:
            rows: part -> training rows in use.
        """
        if self.by == "weights":
            self.require_weights_of(rows)
            rates = dict(self.weights or {})
        elif self.by == "equal":
            rates = dict.fromkeys(rows, 1.0)
        else:
            most = self.cap or max(rows.values())
            rates = {name: min(count, most) ** (1 / (self.temperature or 1.0)) for name, count in rows.items()}
        whole = sum(rates.values())
        return {name: rates[name] / whole for name in rows}
