"""Classes, labels and numbers, which are those of the run itself."""

import json

import pyarrow.parquet as pq
import pytest

from ftlab.inference.finished_run import read_run
from ftlab.inference.inputs import from_texts
from tests.fixtures.finished_runs import MANY_SETTINGS, OTHER_SETTINGS, TRAINED, finished
from tests.inference.asking import answers, data_of, rows_of

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")


def slow(*case: object) -> object:
    """Return a case of another model or method whose parts are each in a quick one."""
    return pytest.param(*case, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("bert", ("method=lora", *TRAINED)),
        ("bert", MANY_SETTINGS),  # an adapter in bf16
        ("bert", ("method=majority",)),
        ("gpt2", ("method=lora", *TRAINED)),
        ("gpt2", ("method=few_shot", "method.shot_tokens=32")),
        ("llama", ("method=prefix", *TRAINED)),
        ("t5", OTHER_SETTINGS),  # LoRA
        slow("bert", ("method=prefix", *TRAINED)),
        slow("llama", ("method=full", *TRAINED)),
        slow("llama", ("method=prompt_head", *TRAINED)),
        slow("t5", ("method=adapter", *TRAINED)),
        slow("t5", ("method=few_shot", "method.shot_tokens=32")),
        slow("gpt2", ("method=zero_shot",)),
    ],
)
def test_classes_are_those_of_the_runs_own_predictions(kind: str, settings: tuple[str, ...]) -> None:
    run = read_run(finished(kind, "text_files", *settings))
    expected = pq.read_table(run.directory / "predictions.parquet").to_pylist()
    found = answers(run, rows_of(run))
    assert len(found) == len(expected) > 10
    for one, other in zip(found, expected, strict=True):
        assert one.prediction == other["prediction"]
        assert list(one.scores) == ["money", "other"]
        assert list(one.scores.values()) == pytest.approx(other["scores"], abs=1e-6)
        assert one.probability == max(one.scores.values())


@pytest.mark.parametrize(
    ("kind", "method"),
    [("bert", "lora"), slow("gpt2", "majority"), slow("llama", "prefix"), slow("bert", "adapter")],
)
def test_labels_are_those_of_the_runs_own_predictions(kind: str, method: str) -> None:
    settings = () if method == "majority" else TRAINED
    run = read_run(finished(kind, "multilabel_files", f"method={method}", *settings))
    expected = pq.read_table(run.directory / "predictions.parquet").to_pylist()
    found = answers(run, rows_of(run))
    assert len(found) == len(expected) > 10
    for one, other in zip(found, expected, strict=True):
        assert one.prediction == other["prediction"]
        assert list(one.scores) == ["even", "third"]
        assert list(one.scores.values()) == pytest.approx(other["scores"], abs=1e-6)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("bert", ("method=full", *TRAINED, "dataset.columns.target=[score,low]")),
        ("gpt2", ("method=majority", "dataset.standardise=false")),
        slow("bert", ("method=lora", *TRAINED)),
        slow("llama", ("method=prompt", *TRAINED)),
        slow("gpt2", ("method=majority", "dataset.columns.target=[score,low]")),
    ],
)
def test_numbers_are_those_of_the_runs_own_predictions(kind: str, settings: tuple[str, ...]) -> None:
    run = read_run(finished(kind, "regression_files", *settings))
    expected = pq.read_table(run.directory / "predictions.parquet").to_pylist()
    found = answers(run, rows_of(run))
    assert len(found) == len(expected) > 10
    for one, other in zip(found, expected, strict=True):
        prediction = one.prediction
        if "low" in settings[-1]:
            assert list(prediction) == ["score", "low"]
            prediction = list(prediction.values())
        assert prediction == pytest.approx(other["prediction"], rel=1e-5, abs=1e-4)
    if settings[0] == "method=majority":  # the mean of the training rows
        train = data_of(run).splits["train"]
        mean = sum(json.loads(row.values["target"])[0] for row in train) / len(train)
        value = found[0].prediction
        assert (value["score"] if isinstance(value, dict) else value) == pytest.approx(mean, rel=1e-5)


def test_a_batch_changes_no_answer() -> None:
    run = read_run(finished("gpt2", "text_files", "method=lora", *TRAINED))
    rows = from_texts(
        ["The band played.", "Shares of the company rose by five per cent after it reported."], run.config.dataset
    )
    together = answers(run, rows)
    for row, one in zip(rows, together, strict=True):
        (alone,) = answers(run, [row])
        assert list(alone.scores.values()) == pytest.approx(list(one.scores.values()), abs=1e-6)
