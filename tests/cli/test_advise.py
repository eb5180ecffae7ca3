"""`ftlab advise` as it is typed."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ftlab.cli.app import app
from tests.compare.factory import METHODS, add_run


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    for method in ("full", "lora", "head"):
        for seed in (0, 1, 2):
            add_run(tmp_path, method, seed=seed, accuracy=METHODS[method][2] + 0.001 * seed, curves=False)
    return tmp_path


def test_it_names_a_method_and_shows_the_evidence(sweep: Path) -> None:
    limits = ["--max-memory", "1GB", "--max-minutes", "60", "--min-accuracy", "0.9"]
    done = CliRunner().invoke(app, ["advise", str(sweep), *limits], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[1].startswith("lora: the only row that surely keeps to the limits.")
    evidence = {line.split()[0]: line for line in lines if line.split()[:1] and line.split()[0] in METHODS}
    assert "limit 1.00 GB" in evidence["full"]
    assert "meets" in evidence["lora"]
    assert "test accuracy 0.843 [0.841, 0.845]" in evidence["head"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--max-memory", "much"], "--max-memory much is no size: write 16GB or 800MB."),
        (["--at-least", "accuracy"], "--at-least accuracy is not METRIC=VALUE"),
        (["--prefer", "tiem"], "--prefer tiem is not known: did you mean time?"),
        (["--allow", "datta"], "--allow datta is not known: did you mean data?"),
    ],
)
def test_mistakes_are_one_sentence(sweep: Path, arguments: list[str], sentence: str) -> None:
    done = CliRunner().invoke(app, ["advise", str(sweep), *arguments], env={"COLUMNS": "200"})
    assert done.exit_code == 2
    assert sentence in done.stderr
