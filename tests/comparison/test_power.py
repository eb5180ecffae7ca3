"""`ftlab power` and the plans behind it."""

import re
from pathlib import Path

import numpy as np
import pytest
from statsmodels.stats.power import TTestPower
from typer.testing import CliRunner

from ftlab.cli.app import app
from ftlab.comparison.power import power_analysis
from ftlab.comparison.stats.inference import Contrast
from ftlab.comparison.stats.variance import VarianceComponents
from tests.comparison.answered import answers, with_hits
from tests.comparison.factory import demo
from tests.fixtures.statements import states

METHODS = Contrast("lora", "full", 0.0, None, 0.5, 0.5, "", None, "", 3, 400, "methods", None)


def test_with_variance_over_seeds_alone_it_is_the_sample_size_of_a_t_test() -> None:
    found = power_analysis(METHODS, VarianceComponents(0.0, 0.01**2, 0.0, 0.0, 3, 400), 0.01, 0.05)
    assert found.seeds == np.ceil(TTestPower().solve_power(effect_size=1.0, alpha=0.05, power=0.8))
    assert found.examples is None  # no number of examples mends too few seeds
    assert found.power is not None
    assert found.power < 0.8


def test_with_variance_over_examples_alone_seeds_do_not_help() -> None:
    found = power_analysis(METHODS, VarianceComponents(0.0, 0.0, 0.2, 0.0, 3, 400), 0.01, 0.05)
    assert found.seeds is None
    assert found.examples == pytest.approx(TTestPower().solve_power(0.01 / 0.2**0.5, alpha=0.05, power=0.8), rel=0.01)


def test_more_of_what_is_asked_is_enough_and_less_is_not() -> None:
    parts = VarianceComponents(0.0, 0.006**2, 0.01, 0.03, 3, 2000)
    found = power_analysis(METHODS, parts, 0.01, 0.05)
    assert found.seeds is not None
    assert parts.expected_difference(found.seeds, 2000).power(0.01, 0.05) >= 0.8
    assert parts.expected_difference(found.seeds - 1, 2000).power(0.01, 0.05) < 0.8


def sweep_of(sweep: Path, seeds: int) -> Path:
    rng, hard = np.random.default_rng(0), np.random.default_rng(1).normal(size=300)
    for method in ("full", "lora"):
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
    states(text, "lora", "one seed", "examples")


def test_without_predictions_it_says_why(tmp_path: Path) -> None:
    status, text = said(str(demo(tmp_path)), "--effect", "0.01")
    assert status == 0
    states(text, "lora", "variances")


@pytest.mark.parametrize(
    ("arguments", "culprits"),
    [
        (("--effect", "0"), ("--effect 0",)),
        (("--effect", "nan"), ("--effect nan",)),
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
