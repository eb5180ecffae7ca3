"""`ftlab power` and the plans behind it."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ttest_1samp
from statsmodels.stats.power import TTestPower
from typer.testing import CliRunner

from ftlab.cli.app import app
from ftlab.comparison.hypothesis_tests import FamilyWithVariances, holm
from ftlab.comparison.power import SampleSize, power_analyses, power_analysis
from ftlab.comparison.stats.inference import Contrast, Family
from ftlab.comparison.stats.variance import VarianceComponents
from tests.comparison.answered import answers, with_hits, with_losses
from tests.comparison.factory import ACCURACY, demo
from tests.fixtures.statements import states

METHODS = Contrast("lora", "full", 0.0, None, 0.5, 0.5, "", None, "", 3, 400, "methods", None)


def test_with_variance_over_seeds_alone_it_is_the_sample_size_of_a_t_test() -> None:
    found = power_analysis(METHODS, VarianceComponents(0.0, 0.01**2, 0.0, 0.0, 3, 400), 0.01, 0.05)
    assert found.seeds is not None
    assert found.seeds.expected == np.ceil(TTestPower().solve_power(effect_size=1.0, alpha=0.05, power=0.8))
    assert found.examples == SampleSize(None, None, None)  # no number of examples mends too few seeds
    assert found.power is not None
    assert found.power < 0.8


def test_with_variance_over_examples_alone_seeds_do_not_help() -> None:
    found = power_analysis(METHODS, VarianceComponents(0.0, 0.0, 0.2, 0.0, 3, 400), 0.01, 0.05)
    assert found.seeds == SampleSize(None, None, None)
    assert found.examples is not None
    needed = TTestPower().solve_power(0.01 / 0.2**0.5, alpha=0.05, power=0.8)
    assert found.examples.expected == pytest.approx(needed, rel=0.01)


def test_more_of_what_is_asked_is_enough_and_less_is_not() -> None:
    parts = VarianceComponents(0.0, 0.006**2, 0.01, 0.03, 3, 2000)
    found = power_analysis(METHODS, parts, 0.01, 0.05).seeds
    assert found is not None
    assert found.expected is not None
    assert parts.expected_difference(found.expected, 2000).power(0.01, 0.05) >= 0.8
    assert parts.expected_difference(found.expected - 1, 2000).power(0.01, 0.05) < 0.8


def test_the_range_holds_what_the_true_variance_needs() -> None:
    rng, sd, pilot = np.random.default_rng(0), 0.01, 3
    known = power_analysis(METHODS, VarianceComponents(0.0, sd**2, 0.0, 0.0, 1000, 400), 0.01, 0.05).seeds
    assert known is not None
    assert known.expected is not None
    variances = sd**2 * rng.chisquare(pilot - 1, 60) / (pilot - 1)
    ranges = [
        power_analysis(METHODS, VarianceComponents(0.0, variance, 0.0, 0.0, pilot, 400), 0.01, 0.05).seeds
        for variance in variances
    ]
    held = [found and (found.low or np.inf) <= known.expected <= (found.high or np.inf) for found in ranges]
    assert np.mean(held) == pytest.approx(0.8, abs=0.15)  # three standard errors


def test_at_the_planned_seeds_the_tables_own_test_has_the_power_that_was_planned() -> None:
    """Nine rows against a reference, one of them different: the table decides by Holm, so the plan must as well."""
    rows, sd, effect = 9, 0.007, 0.01
    family = Family("full", ACCURACY[0], 0.05, (METHODS,), {})
    components = {METHODS.row: VarianceComponents(0.0, 2 * sd**2, 0.0, 0.0, 10, 2000)}
    (found,) = power_analyses(FamilyWithVariances(family, components), effect, rows)
    assert found.seeds is not None
    assert found.seeds.expected is not None
    rng = np.random.default_rng(1)
    runs = rng.normal(0, sd, (500, rows + 1, found.seeds.expected))
    runs[:, 1] += effect
    p_values = ttest_1samp(runs[:, 1:] - runs[:, :1], 0.0, axis=-1).pvalue
    detected = [holm([replace(METHODS, p=p) for p in table])[0].is_significant(0.05) for table in p_values]
    assert np.mean(detected) >= 0.75


def sweep_of(sweep: Path, seeds: int, methods: Sequence[str] = ("full", "lora")) -> Path:
    rng, hard = np.random.default_rng(0), np.random.default_rng(1).normal(size=300)
    for method in methods:
        for seed in range(seeds):
            with_hits(sweep, method, seed, answers(rng, 300, 0.9 + 0.01 * (seed % 2), hard))
    return sweep


def said(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["power", *arguments])
    return done.exit_code, " ".join(done.output.split())


def test_the_command_tells_seeds_and_examples(tmp_path: Path) -> None:
    status, text = said(str(sweep_of(tmp_path, 4)), "--effect", "0.02")
    assert status == 0
    states(text, "bbc_news · minilm", 0.02, "accuracy", "seeds needed", "lora", "300 examples", "4 seeds")
    assert re.search(r"\d %", text)  # the chance of finding it


def test_one_seed_each_tells_of_examples_alone(tmp_path: Path) -> None:
    status, text = said(str(sweep_of(tmp_path, 1)), "--effect", "0.02")
    assert status == 0
    states(text, "lora", "one seed", "for these two trained models it takes")
    assert "nan" not in text
    assert "10,000,000" not in text


def test_one_seed_each_takes_the_examples_of_a_t_test_over_them() -> None:
    single = replace(METHODS, scope="trained models", seeds=1)
    found = power_analysis(single, VarianceComponents(0.0, 0.0, 0.2, 0.0, 1, 400), 0.02, 0.05)
    needed = int(np.ceil(TTestPower().solve_power(0.02 / 0.2**0.5, alpha=0.05, power=0.8)))
    assert found.seeds is None
    assert found.examples is not None
    assert found.examples.expected == pytest.approx(needed, abs=5)
    assert found.power == pytest.approx(TTestPower().power(0.02 / 0.2**0.5, 400, 0.05), abs=0.01)


@pytest.mark.parametrize("seeds", [1, 3])
def test_runs_without_any_variance_are_told_in_words(tmp_path: Path, seeds: int) -> None:
    for method in ("full", "lora"):
        for seed in range(seeds):
            with_hits(tmp_path, method, seed, np.array([1.0, 0.0] * 50))
    status, text = said(str(tmp_path), "--effect", "0.02")
    assert status == 0
    states(text, "lora: no estimate", "no variance")
    assert not {"nan", "100%"} & set(text.split())


def test_the_plan_is_for_all_tests_of_the_table(tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path, 3, ("full", "lora", "head", "prefix"))
    _, text = said(str(sweep), "--effect", "0.02")
    states(text, "0.05 / 3 tests", "Holm", "[low to high]")
    _, alone = said(str(sweep), "--effect", "0.02", "--tests", "1")
    assert "/ 3 tests" not in alone


def test_an_effect_that_only_one_table_can_have(tmp_path: Path) -> None:
    hits = np.array([1.0, 0.0] * 50)
    for method in ("full", "lora"):
        for seed in range(2):
            with_hits(tmp_path, method, seed, np.roll(hits, seed), **{"dataset.name": "another"})
            losses = np.random.default_rng(seed).normal(3 + (method == "lora"), 1, 50)
            with_losses(tmp_path, method, seed, losses, [4] * 50)
    status, text = said(str(tmp_path), "--effect", "1.5")
    assert status == 0
    states(text, "--effect 1.5", "accuracy", "0 to 1", "loss", "seeds needed")


def test_without_predictions_it_says_why(tmp_path: Path) -> None:
    status, text = said(str(demo(tmp_path)), "--effect", "0.01")
    assert status == 0
    states(text, "lora", "variances")


@pytest.mark.parametrize(
    ("arguments", "culprits"),
    [
        (("--effect", "0"), ("--effect 0",)),
        (("--effect", "nan"), ("--effect nan",)),
        (("--effect", "-0.01"), ("--effect -0.01",)),
        (("--effect", "1.5"), ("--effect 1.5", "0 to 1", "0.01")),
        (("--effect", "0.01", "--reference", "lara"), ("lara", "lora?")),
    ],
)
def test_mistakes_are_told(tmp_path: Path, arguments: tuple[str, ...], culprits: tuple[str, ...]) -> None:
    status, text = said(str(demo(tmp_path)), *arguments)
    assert status == 2
    states(text, *culprits)


def test_an_empty_folder(tmp_path: Path) -> None:
    status, text = said(str(tmp_path), "--effect", "0.01")
    assert status == 2
    states(text, tmp_path.name, "record.json")
