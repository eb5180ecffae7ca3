"""Collapsed runs of a table."""

from collections.abc import Sequence
from dataclasses import dataclass

from ftlab.comparison.tables import Table


@dataclass(frozen=True)
class Collapse:
    """Runs of a row that collapsed."""

    row: str
    sentence: str


def collapsed_runs(table: Table) -> Sequence[Collapse]:
    """Return the rows with collapsed runs."""
    return ()
