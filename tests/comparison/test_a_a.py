"""A method against itself, on real runs: heads trained on real features, 40 seeds, split at random into 3 and 3."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.a_a import Features, Runs, against_another, against_itself, features, heads
from ftlab.comparison import compare
from ftlab.comparison.stats.layout import paired_difference
from ftlab.record import Metric
from ftlab.record.folder import PREDICTIONS
from ftlab.train.artifacts import write_predictions
from tests.comparison.factory import ACCURACY, add_run

pytestmark = [pytest.mark.slow, pytest.mark.real, pytest.mark.xdist_group("a_a")]

SEEDS, DRAWS = 40, 800


@pytest.fixture(scope="module")
def cached() -> Features:
    return features()


@pytest.fixture(scope="module")
def runs(cached: Features) -> Runs:
    made = heads(cached, SEEDS)
    scores = made.hits.mean(1)
    assert scores.mean() > 0.8  # they learned
    assert scores.std(ddof=1) > 0.005  # and differ
    return made


@pytest.mark.parametrize("metric", ["hits", "losses"])
def test_the_same_method_is_called_different_in_five_of_a_hundred_cases(runs: Runs, metric: str) -> None:
    rates = against_itself(getattr(runs, metric), DRAWS)
    assert 0.03 <= rates["paired"] <= 0.07
    assert 0.015 <= rates["unpaired"] <= 0.07  # Welch's test of 3 and 3 is below its level where variances are equal


@pytest.mark.parametrize("epochs", [2, 6])
def test_a_real_difference_is_found_as_often_as_predicted(cached: Features, runs: Runs, epochs: int) -> None:
    other = heads(cached, SEEDS, epochs=epochs)
    difference, found, predicted = against_another(other.hits, runs.hits, DRAWS)
    assert abs(difference) > 0.003
    assert found == pytest.approx(predicted, abs=0.08)


def test_the_command_does_the_same_on_the_run_folders(cached: Features, runs: Runs, tmp_path: Path) -> None:
    groups = {"full": [0, 1, 2], "lora": [20, 31, 17]}
    for method, chosen in groups.items():
        for seed, index in enumerate(chosen):
            accuracy = Metric(value=float(runs.hits[index].mean()), n=len(cached.ids))
            changes = {"metrics": {"classification": {"test": {"accuracy": accuracy}}}, "columns": ACCURACY}
            folder = add_run(tmp_path, method, seed=seed, changes=changes, curves=False)
            rows = [
                {
                    "index": place,
                    "label": cached.labels[label],
                    "prediction": cached.labels[int(guess)],
                    "loss": float(loss),
                }
                for place, (label, guess, loss) in enumerate(
                    zip(cached.test_y.tolist(), runs.predictions[index], runs.losses[index], strict=True)
                )
            ]
            write_predictions(rows, cached.ids, folder / PREDICTIONS, task="classification", split="test")
    family = compare([tmp_path]).tables[0].family
    assert family is not None
    (contrast,) = family.contrasts
    spread, _ = paired_difference(runs.hits[groups["lora"]] - runs.hits[groups["full"]])
    assert contrast.p == pytest.approx(spread.p())
    assert contrast.examples == len(cached.ids) == len(np.unique(cached.ids))
