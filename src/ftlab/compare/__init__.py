"""From run records to the comparison: tables, Markdown, CSV and a self-contained HTML report.

Reads records and logged metrics only, and imports no torch: a comparison is made in a second or two, anywhere.
"""

from ftlab.compare.comparison import Comparison
from ftlab.compare.files import write
from ftlab.compare.grouping import compare
from ftlab.compare.terminal import table
from ftlab.compare.watching import comparisons

__all__ = ["Comparison", "compare", "comparisons", "table", "write"]
