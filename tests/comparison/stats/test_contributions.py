"""Contributions have the metric as their mean, and their scatter is that of the metric over other examples."""

from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from seqeval.metrics import f1_score, precision_score, recall_score

from ftlab.comparison.stats.contributions import (
    contributions,
    pearson_contributions,
    required_columns,
    spearman_contributions,
)
from ftlab.comparison.stats.metric_ratios import ratio_of
from ftlab.record import PredictionType

TAGS = ["O", "B-PER", "I-PER", "B-LOC"]


def of(metric: str, label: list[Any], prediction: list[Any], predicts: PredictionType = "class") -> Any:
    return contributions(metric, predicts, pa.table({"label": label, "prediction": prediction}))


def test_classes() -> None:
    label, guess = ["a", "b", "c", "a", "b", "a"], ["a", "b", "a", "a", "c", "b"]
    assert of("accuracy", label, guess).tolist() == [1, 1, 0, 1, 0, 0]
    assert of("micro_f1", label, guess).mean() == pytest.approx(0.5)
    assert of("macro_f1", label, guess).mean() == pytest.approx((4 / 6 + 2 / 4 + 0) / 3)


def test_several_labels() -> None:
    label, guess = [["x", "y"], [], ["x"]], [["x"], ["y"], ["x"]]
    assert of("micro_f1", label, guess, "labels").mean() == pytest.approx(2 * 2 / (3 + 3))
    assert of("subset_accuracy", label, guess, "labels").tolist() == [0, 0, 1]


def test_entities_are_those_of_seqeval() -> None:
    rng = np.random.default_rng(0)
    true, guess = ([list(rng.choice(TAGS, 8)) for _ in range(30)] for _ in range(2))
    for metric, function in (("f1", f1_score), ("precision", precision_score), ("recall", recall_score)):
        assert of(metric, true, guess, "tags").mean() == pytest.approx(function(true, guess))
    right = np.mean([a == b for a, b in zip(chain(*true), chain(*guess), strict=True)])
    assert of("token_accuracy", true, guess).mean() == pytest.approx(right)


def test_a_mean_over_tokens_counts_long_examples_more() -> None:
    table = pa.table({"loss": [1.0, 3.0], "tokens": [30, 10], "token_accuracy": [0.5, 1.0]})
    assert contributions("loss", "tokens", table).mean() == pytest.approx(1.5)
    assert contributions("perplexity", "tokens", table).mean() == pytest.approx(np.exp(1.5))
    assert contributions("token_accuracy", "tokens", table).mean() == pytest.approx(0.625)
    assert contributions("loss", "class", table.select(["loss"])).tolist() == [1, 3]


def test_numbers_and_several_targets() -> None:
    one, other = [1.0, 2.0, 4.0], [1.5, 2.0, 3.0]
    assert of("mae", one, other, "regression").mean() == pytest.approx(0.5)
    both = of("mae", [[a, 0.0] for a in one], [[b, 1.0] for b in other], "regression")
    assert both.mean() == pytest.approx(0.75)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=4, max_size=40))
def test_correlations_are_those_of_scipy_ties_included(pairs: list[tuple[int, int]]) -> None:
    one, other = np.array(pairs, dtype=float).T
    if len(set(one)) == 1 or len(set(other)) == 1:
        with pytest.raises(ValueError, match=r"."):
            pearson_contributions(one, other)
        return
    assert pearson_contributions(one, other).mean() == pytest.approx(stats.pearsonr(one, other).statistic)
    assert spearman_contributions(one, other).mean() == pytest.approx(stats.spearmanr(one, other).statistic)


def shares(one: Any, other: Any) -> Any:
    return ratio_of(np.abs(one), np.abs(other) + 1).contributions()


@pytest.mark.parametrize("metric", [pearson_contributions, spearman_contributions, shares])
def test_the_scatter_of_contributions_is_that_of_the_metric(metric: Callable[..., Any]) -> None:
    rng = np.random.default_rng(0)

    def draw() -> tuple[Any, Any]:
        x = rng.normal(size=250)
        return x, 0.7 * x + rng.normal(size=250)

    values = [metric(*draw()) for _ in range(400)]
    told = np.mean([value.std(ddof=1) / len(value) ** 0.5 for value in values])
    assert told == pytest.approx(np.std([value.mean() for value in values]), rel=0.15)


def test_what_the_file_does_not_hold_is_no_metric() -> None:
    there = ["label", "prediction", "scores", "loss"]
    assert required_columns("accuracy", there) == ["label", "prediction"]
    assert required_columns("accuracy", ["loss"]) is None
    assert required_columns("bleu", there) is None
    assert required_columns("rouge_l", ["loss", "tokens", "rouge_l"]) == ["rouge_l"]
    assert required_columns("loss", ["loss", "tokens"]) == ["loss", "tokens"]


@pytest.mark.parametrize(
    ("metric", "table"),
    [
        ("accuracy", {"label": ["a", None], "prediction": ["a", "b"]}),
        ("accuracy", {"label": ["a", "b"], "prediction": [1, 2]}),
        ("f1", {"label": ["a", "b"], "prediction": ["a", "b"]}),
        ("f1", {"label": [["O"]], "prediction": [["O"]]}),
        ("loss", {"loss": [1.0, float("nan")]}),
        ("loss", {"loss": ["1", "2"]}),
        ("perplexity", {"loss": [1e6, 1e6]}),
        ("spearman", {"label": [1.0, 1.0], "prediction": [0.0, 1.0]}),
    ],
)
def test_what_cannot_be_is_an_error(metric: str, table: dict[str, list[Any]]) -> None:
    with pytest.raises(ValueError, match=r"."):
        contributions(metric, "tags", pa.table(table))


def test_a_column_of_the_metrics_name_is_the_metric_of_each_example() -> None:
    table = pa.table({"rank_error": [0.0, 2.0, 1.0], "loss": [1.0, 1.0, 1.0]})
    assert required_columns("rank_error", table.column_names) == ["rank_error"]
    assert contributions("rank_error", "other", table).tolist() == [0, 2, 1]
    assert required_columns("rank_error", ["label", "prediction"]) is None
    assert required_columns("accuracy", ["label", "prediction", "loss"]) == ["label", "prediction"]
    assert required_columns("loss", ["loss", "tokens"]) == ["loss", "tokens"]
