from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ftlab.evaluation.breakdown import reliability_diagram
from ftlab.tasks.calibration import BINS, CalibrationError, confidence_bins
from ftlab.tasks.classification import ClassificationScores
from tests.training import task_named

EDGES = [number / BINS for number in range(BINS + 1)]
Confidences = st.lists(
    st.tuples(st.one_of(st.sampled_from([0.0, 1.0, *EDGES]), st.floats(0, 1, width=32)), st.booleans()),
    min_size=1,
    max_size=40,
)


def formula(confidences: list[float], hits: list[bool]) -> float:
    """Guo et al. (2017), equation 3, with their bins ((m - 1) / M, m / M], of which the first has 0 too."""
    edges = torch.linspace(0, 1, BINS + 1).tolist()
    error = 0.0
    for lower, upper in pairwise(edges):
        inside = [i for i, c in enumerate(confidences) if lower < c <= upper or (lower == 0 and c == 0)]
        if inside:
            accuracy = sum(hits[i] for i in inside) / len(inside)
            confidence = sum(confidences[i] for i in inside) / len(inside)
            error += len(inside) / len(confidences) * abs(accuracy - confidence)
    return error


@given(Confidences)
def test_metric_and_diagram_are_the_formula(examples: list[tuple[float, bool]]) -> None:
    """One class has the confidence and the others less: of the labels, it is 0 where the prediction is right."""
    confidences = torch.tensor([confidence for confidence, _ in examples]).tolist()  # in float32, as softmax has them
    hits = [hit for _, hit in examples]
    expected = formula(confidences, hits)
    metric = CalibrationError()
    for confidence, hit in zip(confidences, hits, strict=True):  # in batches of one
        metric.update(torch.tensor([[confidence, -1.0, -1.0]]), torch.tensor([0 if hit else 1]))
    assert metric.compute().item() == pytest.approx(expected, abs=1e-6)
    rows = [
        {"label": "business" if hit else "tech", "prediction": "business", "scores": [confidence, 0.0, 0.0]}
        for confidence, hit in zip(confidences, hits, strict=True)
    ]
    diagram = reliability_diagram(rows, task_named("classification"))
    assert sum(part.n for part in diagram) == len(rows)
    from_diagram = sum(part.n * abs(part.accuracy - part.confidence) for part in diagram) / len(rows)
    assert from_diagram == pytest.approx(expected, abs=1e-6)


def test_certain_predictions_are_in_the_last_bin() -> None:
    """Two rights at 0.95 and a wrong at 1: 15 bins have an error of 0.3, sixteen would have 0.367."""
    assert confidence_bins(torch.tensor([0.0, 1.0])).tolist() == [0, BINS - 1]
    scores = ClassificationScores(2)
    logits = torch.tensor([[0.95, 0.05], [0.95, 0.05], [1.0, 0.0]]).log()
    scores.update(logits, torch.tensor([0, 0, 1]), torch.zeros(3))
    assert scores.compute()["calibration_error"].value == pytest.approx(0.3, abs=1e-6)


def test_its_sums_are_in_a_type_that_every_device_has() -> None:
    metric = CalibrationError()
    metric.update(torch.tensor([[0.9, 0.1]]), torch.tensor([0]))
    dtypes = {value.dtype for value in metric.metric_state.values() if isinstance(value, torch.Tensor)}
    assert dtypes == {torch.float32}  # Apple's MPS has no float64
