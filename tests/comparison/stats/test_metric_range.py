"""Ranges of the metrics."""

import importlib
import pkgutil
from math import inf

import pytest

from ftlab.comparison.stats.metric_range import metric_range
from ftlab.kinds import __path__ as built_in


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("accuracy", (0, 1)),
        ("spearman", (-1, 1)),
        ("mcc", (-1, 1)),
        ("bleu", (0, 100)),
        ("loss", (0, inf)),
        ("perplexity", (1, inf)),
        ("topics/macro_f1", (0, 1)),
        ("mae_price", (0, inf)),
        ("grades/pearson_price", (-1, 1)),
        ("politeness", None),
        ("accuracy_of_dates", None),
    ],
)
def test_ranges(metric: str, expected: tuple[float, float] | None) -> None:
    assert metric_range(metric) == expected


def test_every_metric_of_a_built_in_kind_has_one() -> None:
    kinds = [importlib.import_module(f"ftlab.kinds.{module.name}").KIND for module in pkgutil.iter_modules(built_in)]
    metrics = {column.metric for kind in kinds for column in (*kind.columns, *kind.generation_columns)}
    assert len(metrics) > 10
    assert not [metric for metric in metrics if metric_range(metric) is None]
