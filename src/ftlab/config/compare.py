"""Group `compare` of the run configuration: what the comparison decides."""

from typing import Annotated

from pydantic import Field

from ftlab.config.groups import Group


class CompareConfig(Group):
    """What the comparison decides, declared before the first run: chosen afterwards, error rates do not hold."""

    reference: str | None = None  # method that the others are tested against; null: full, or the first by name
    # rows at most this far behind the best (or a declared reference) count as as good: in the metric's unit, or 1% of
    # its range; null: 0.01 for metrics between 0 and 1, none for others
    margin: Annotated[float, Field(gt=0)] | Annotated[str, Field(pattern=r"^\s*[0-9.]+\s*%\s*$")] | None = None
