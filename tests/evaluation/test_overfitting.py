"""The verdict on a fit: what is said of clear cases, and that usual runs raise no alarm."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftlab.evaluation.overfitting import compare_losses, fit_warning
from ftlab.record import Metric
from ftlab.tasks.reference_loss import class_entropy, mean_label_entropy, target_variance
from tests.fixtures.tasks import CLASSIFICATION
from tests.training import task_named

TWO = replace(CLASSIFICATION, labels=("a", "b"), label_shares=(0.5, 0.5))


def verdict(train: float | None, val: float | None, reference: float | None = math.log(2), rows: int = 100) -> str:
    metrics = [Metric(value=value, n=rows) for value in (train, val)]
    return compare_losses(*metrics, train_rows=rows, val_rows=rows, reference=reference).verdict


@pytest.mark.parametrize(
    ("train", "val", "expected"),
    [
        (0.02, 0.65, "overfitting"),
        (0.05, 0.30, "fits"),
        (0.69, 0.70, "underfitting"),
        (0.40, 0.42, "fits"),
        (None, 0.42, "unknown"),
    ],
)
def test_of_two_classes(train: float | None, val: float | None, expected: str) -> None:
    assert verdict(train, val) == expected


def test_a_language_model_has_nothing_to_be_held_against() -> None:
    assert verdict(3.0, 3.2, None) == "fits"
    assert verdict(0.4, 2.5, None) == "overfitting"
    assert verdict(9.0, 9.0, None) == "fits"


def test_few_rows_say_nothing() -> None:
    assert verdict(0.02, 0.65, rows=20) == "unknown"


def test_what_is_to_be_learned() -> None:
    assert class_entropy(TWO) == pytest.approx(math.log(2))
    assert class_entropy(replace(TWO, label_shares=())) is None
    assert target_variance(task_named("regression")) == 1
    assert target_variance(replace(task_named("regression"), target_scales=(1.0, 1.0))) is None
    multilabel = replace(task_named("multilabel"), label_shares=(0.5, 1.0, 0.5))
    assert mean_label_entropy(multilabel) == pytest.approx(math.log(2) * 2 / 3)


def test_what_is_said() -> None:
    over, under = (
        compare_losses(
            Metric(value=one, n=90), Metric(value=other, n=90), train_rows=90, val_rows=90, reference=math.log(2)
        )
        for one, other in ((0.02, 0.65), (0.69, 0.70))
    )
    assert "0.02" in str(fit_warning(over, 10))
    assert "0.65" in str(fit_warning(over, 10))
    assert "0.69" in str(fit_warning(under, 100))
    assert fit_warning(under, 4) is None, "of a trial of a few steps nobody needs to be told"


@given(train=st.floats(0, 10), gap=st.floats(-1, 0.3))
def test_a_small_gap_is_no_alarm(train: float, gap: float) -> None:
    assert verdict(train, train + gap) != "overfitting"
