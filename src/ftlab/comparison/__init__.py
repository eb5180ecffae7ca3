"""Comparison of runs, made from their records.

It reads records, predictions and logged metrics only, without torch: it takes a second or two on any machine.
"""

from ftlab.comparison.build import compare
from ftlab.comparison.tables import ComparisonTables
from ftlab.comparison.watching import updated_comparisons

__all__ = ["ComparisonTables", "compare", "updated_comparisons"]
