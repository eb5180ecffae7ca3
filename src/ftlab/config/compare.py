"""Group `compare` of the run configuration: what the comparison decides."""

import re
from typing import Annotated

from pydantic import AfterValidator

from ftlab.config.groups import Group


def _require_margin(margin: float | str) -> float | str:
    is_margin = margin > 0 if isinstance(margin, float) else re.fullmatch(r"\s*[0-9.]+\s*%\s*", margin)
    if not is_margin:  # not two types with constraints: an error would name both
        raise ValueError("give a number above 0 in the metric's unit, such as 0.01, or 1% of its range")
    return margin


class CompareConfig(Group):
    """What the comparison decides, declared before the first run: chosen afterwards, error rates do not hold."""

    reference: str | None = None  # method that the others are tested against; null: full, or the first by name
    # rows at most this far behind the best (or a declared reference) count as as good: in the metric's unit, or 1% of
    # its range; null: 0.01 for metrics between 0 and 1, none for others
    margin: Annotated[float | str, AfterValidator(_require_margin)] | None = None
