"""Classes and slices are those of scikit-learn and seqeval, and the parts make up the whole."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import f1_score

from ftlab.evaluation import breakdown
from tests.training import LABELS, TAGS, task_named

sklearn = pytest.importorskip("sklearn.metrics")

CLASSES = st.sampled_from(LABELS)


def classified(pairs: list[tuple[str, str]]) -> list[dict[str, Any]]:
    return [
        {"index": index, "label": label, "prediction": guess, "scores": [0.2, 0.7, 0.1], "loss": float(index)}
        for index, (label, guess) in enumerate(pairs)
    ]


@settings(deadline=None, max_examples=40)  # scikit-learn takes a while
@given(pairs=st.lists(st.tuples(CLASSES, CLASSES), min_size=1, max_size=60))
def test_classes_are_those_of_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    found, left_out = breakdown.per_class_scores(classified(pairs), task_named("classification"), 50)
    expected = sklearn.precision_recall_fscore_support(*zip(*pairs, strict=True), labels=LABELS, zero_division=np.nan)
    assert left_out == 0
    for place, row in enumerate(found):
        precision, recall, f1, support = (column[place] for column in expected)
        assert (row.label, row.support) == (LABELS[place], support)
        for mine, theirs in ((row.precision, precision), (row.recall, recall), (row.f1, f1)):
            assert mine == pytest.approx(theirs) if mine is not None else np.isnan(theirs)


def test_the_most_frequent_classes_are_listed() -> None:
    pairs = [("tech", "tech")] * 3 + [("sport", "tech")] * 2 + [("business", "sport")]
    found, left_out = breakdown.per_class_scores(classified(pairs), task_named("classification"), 2)
    assert ([row.label for row in found], left_out) == (["sport", "tech"], 1)


def test_labels_of_which_a_row_has_several() -> None:
    rows = [{"label": ["sport", "tech"], "prediction": ["tech"]}, {"label": [], "prediction": ["sport"]}]
    found, _ = breakdown.per_class_scores(rows, task_named("multilabel"), 50)
    assert [(row.support, row.precision, row.recall) for row in found] == [
        (0, None, None),
        (1, 0.0, 0.0),
        (1, 1.0, 1.0),
    ]


def test_types_of_entities() -> None:
    rows = [{"label": ["B-PER", "I-PER", "O"], "prediction": ["B-PER", "I-PER", "O"]}]
    rows.append({"label": ["B-PER", "O", "O"], "prediction": ["O", "B-PER", "O"]})
    (found,), _ = breakdown.per_class_scores(rows, task_named("token_classification"), 50)
    expected = f1_score([row["label"] for row in rows], [row["prediction"] for row in rows])
    assert (found.label, found.support, found.f1) == ("PER", 2, pytest.approx(expected))


def test_tags_that_are_no_entities() -> None:
    task = replace(task_named("token_classification"), labels=("NOUN", "VERB"))
    rows = [{"label": ["NOUN", "VERB", "NOUN"], "prediction": ["NOUN", "NOUN", ""]}]
    found, _ = breakdown.per_class_scores(rows, task, 50)
    assert [(row.label, row.support, row.recall) for row in found] == [("NOUN", 2, 0.5), ("VERB", 1, 0.0)]
    assert breakdown.per_class_scores(rows, task_named("regression"), 50) == ([], 0)
    assert set(TAGS) == {"O", "B-PER", "I-PER"}


@settings(deadline=None)
@given(lengths=st.lists(st.integers(0, 30), min_size=1, max_size=80))
def test_slices_by_length_part_the_rows(lengths: list[int]) -> None:
    rows = classified([("tech", "tech")] * len(lengths))
    found = breakdown.slices_by_length(rows, task_named("classification"), lengths, "characters")
    assert sum(part.n for part in found) in (0, len(lengths))
    total = sum(part.metrics["loss"].value * part.n for part in found)
    assert not found or total == pytest.approx(sum(range(len(lengths))))
    if len(set(lengths)) == 1:
        assert not found, "all of one length: there are no parts"


def test_slices_by_a_column() -> None:
    rows = classified([("tech", "tech"), ("tech", "sport"), ("sport", "sport"), ("sport", "tech")])
    task, values = task_named("classification"), ["web", "web", "print", "radio"]
    found, left_out = breakdown.slices_by_column(rows, task, values, "medium", 2)
    assert [(part.by, part.value, part.metrics["accuracy"].value) for part in found] == [
        ("medium", "web", 0.5),
        ("medium", "print", 1.0),
    ]
    assert left_out == 1


def test_a_reliability_diagram_has_every_row_once() -> None:
    rows = classified([("tech", "tech"), ("tech", "sport")])
    (bin_,) = breakdown.reliability_diagram(rows, task_named("classification"))
    assert (bin_.n, bin_.confidence, bin_.accuracy) == (2, pytest.approx(0.7), 0.5)
    assert bin_.lower <= 0.7 < bin_.upper
    assert breakdown.reliability_diagram(rows, task_named("multilabel")) == []


def test_other_tasks_have_measures_of_their_own() -> None:
    number = [{"index": 0, "label": 1.0, "prediction": 3.0, "loss": 0.5}]
    words = [{"index": 0, "label": ["O", "O"], "prediction": ["O", "B-PER"], "loss": 0.5}]
    written = [
        {"index": i, "loss": loss, "tokens": n, "token_accuracy": 1.0} for i, (loss, n) in enumerate([(1, 3), (2, 1)])
    ]
    for name, rows, metric, value in (
        ("regression", number, "mae", 2.0),
        ("token_classification", words, "token_accuracy", 0.5),
        ("instruction", written, "loss", 1.25),
    ):
        (part,), _ = breakdown.slices_by_column(rows, task_named(name), ["x"] * len(rows), "c", 1)
        assert part.metrics[metric].value == value
