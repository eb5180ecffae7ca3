"""Collapsed runs: told as a rate, and not where runs only scatter."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ftlab.comparison import compare
from ftlab.comparison.collapse import collapsed_runs
from ftlab.comparison.tables import Baseline, ComparedRun, Configuration, Table
from ftlab.record import Metric, MetricColumn
from tests.comparison.factory import LOSS, METHODS, add_run


def table_of(sweep: Path, values: dict[str, Sequence[float]], constant: float | None = None) -> Table:
    for method, accuracies in values.items():
        for seed, accuracy in enumerate(accuracies):
            like = method if method in METHODS else "lora"
            add_run(sweep, method, seed=seed, accuracy=accuracy, like=like, curves=False)
    (table,) = compare([sweep], tests=False).tables
    return replace(table, baseline=None if constant is None else Baseline("sport", constant, table.columns[0]))


def test_a_run_at_the_constant_answer_collapsed_and_the_rate_has_an_interval(tmp_path: Path) -> None:
    table = table_of(tmp_path, {"full": [0.95] * 5, "prefix": [0.9, 0.23, 0.91, 0.2, 0.89]}, 0.23)
    collapse = collapsed_runs(table)
    assert list(collapse) == ["prefix"]
    assert collapse["prefix"].seeds == (1, 3)
    assert str(collapse["prefix"]) == "2 of 5 runs of prefix collapsed (rate 5 to 85 %)"


def test_a_run_far_below_its_rows_other_seeds_collapsed_without_a_constant_answer(tmp_path: Path) -> None:
    table = table_of(tmp_path, {"full": [0.95, 0.955, 0.948], "lora": [0.94, 0.7, 0.945], "head": [0.84, 0.85, 0.845]})
    assert {label: found.seeds for label, found in collapsed_runs(table).items()} == {"lora": (1,)}


def test_one_seed_collapsed_only_by_the_constant_answer(tmp_path: Path) -> None:
    table = table_of(tmp_path, {"full": [0.95], "lora": [0.23], "head": [0.5]}, 0.23)
    assert list(collapsed_runs(table)) == ["lora"]


def test_seeds_that_happen_to_agree_make_no_other_seed_a_collapse(tmp_path: Path) -> None:
    table = table_of(tmp_path, {"full": [0.95, 0.95, 0.95, 0.94], "lora": [0.94, 0.94, 0.94, 0.94]})
    assert collapsed_runs(table) == {}


def test_a_row_that_trains_nothing_did_not_collapse(tmp_path: Path) -> None:
    assert collapsed_runs(table_of(tmp_path, {"zero_shot": [0.2], "full": [0.9]}, 0.23)) == {}


def test_of_a_loss_a_collapse_is_above(tmp_path: Path) -> None:
    for seed, loss in enumerate((2.0, 2.02, 9.0, 1.99, 2.01)):
        changes = {"metrics": {"classification": {"test": {"loss": Metric(value=loss, n=50)}}}, "columns": LOSS}
        add_run(tmp_path, "lora", seed=seed, changes=changes, curves=False)
    (table,) = compare([tmp_path], tests=False).tables
    assert collapsed_runs(table)["lora"].seeds == (2,)


def test_a_run_whose_correlation_is_not_defined_counts_by_the_error_of_the_constant(tmp_path: Path) -> None:
    spearman = MetricColumn(metric="spearman", label="Spearman", higher_is_better=True)
    mae = MetricColumn(metric="mae", label="MAE", higher_is_better=False)
    for seed, (correlation, error) in enumerate(((0.8, 0.5), (None, 0.9), (0.7, 0.95))):
        metrics = {"spearman": Metric(value=correlation, n=50), "mae": Metric(value=error, n=50)}
        changes = {"metrics": {"classification": {"test": metrics}}, "columns": (spearman, mae)}
        add_run(tmp_path, "lora", seed=seed, changes=changes, curves=False)
    (table,) = compare([tmp_path], tests=False).tables
    collapse = collapsed_runs(replace(table, baseline=Baseline("the median 2", 0.9, mae)))["lora"]
    assert (collapse.seeds, collapse.runs) == ((1,), 3)


def test_sound_runs_seldom_count_as_collapsed(run: ComparedRun) -> None:
    """Few seeds of a few rows scatter by 1 point; in a plain median deviation a quarter of tables had a collapse."""
    rng, number = np.random.default_rng(0), 200
    tables = [simulated(run, 0.9 + rng.normal(0, 0.01, (6, 3))) for _ in range(number)]
    assert np.mean([bool(collapsed_runs(table)) for table in tables]) <= 0.03


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_a_method_whose_seeds_scatter_more_than_the_others_seldom_counts_as_collapsed(
    run: ComparedRun, seeds: int
) -> None:
    """By the scatter of all rows alone 15, 23 and 55 % of such tables had a collapse."""
    rng, sds = np.random.default_rng(0), np.array([0.003, 0.005, 0.005, 0.01, 0.01, 0.02])[:, None]
    tables = [simulated(run, 0.7 + sds * rng.normal(size=(6, seeds))) for _ in range(150)]
    assert np.mean([bool(collapsed_runs(table)) for table in tables]) <= 0.13  # 7 % and three standard errors


def test_collapses_are_found_beside_sound_runs(run: ComparedRun) -> None:
    rng = np.random.default_rng(0)
    values = 0.9 + rng.normal(0, 0.005, (50, 6, 5))
    values[:, 2, 1:3] -= 0.4
    expected = {"row 2": (1, 2)}
    found = [{label: c.seeds for label, c in collapsed_runs(simulated(run, table)).items()} for table in values]
    assert np.mean([seeds == expected for seeds in found]) >= 0.9


@pytest.fixture
def run(tmp_path: Path) -> ComparedRun:
    add_run(tmp_path, "lora", curves=False)
    (table,) = compare([tmp_path], tests=False).tables
    return table.rows[0].runs[0]


def simulated(run: ComparedRun, accuracies: np.ndarray) -> Table:
    """Return a table with these accuracies, (rows, seeds), each on so many examples that they matter little."""

    def like(row: int, seed: int) -> ComparedRun:
        value = Metric(value=float(accuracies[row, seed]), n=1_000_000)
        update = {"seed": seed, "method": f"row {row}", "metrics": {"classification": {"test": {"accuracy": value}}}}
        return replace(run, record=run.record.model_copy(update=update), settings={})

    rows = [
        Configuration(tuple(like(row, seed) for seed in range(accuracies.shape[1]))) for row in range(len(accuracies))
    ]
    return Table("data", "model", run.record.columns[:1], tuple(rows), (), (), ())
