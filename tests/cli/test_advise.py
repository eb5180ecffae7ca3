"""`ftlab advise` as it is typed."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ftlab.cli.app import app
from tests.comparison.factory import METHODS, add_run
from tests.fixtures.statements import states


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
    assert lines[1].startswith("lora: ")
    evidence = {line.split()[0]: line for line in lines if line.split()[:1] and line.split()[0] in METHODS}
    states(evidence["full"], "1.00 GB")
    states(evidence["lora"], "meets")
    states(evidence["head"], "accuracy", "0.843 [0.841, 0.845]")


def test_it_waits_for_the_runs_that_are_declared_unless_it_is_allowed_not_to(sweep: Path) -> None:
    add_run(sweep, "lora", seed=3, status="interrupted")
    table = sweep / "table.md"
    for arguments in ([], ["--table", str(table)]):
        done = CliRunner().invoke(app, ["advise", str(sweep), *arguments], env={"COLUMNS": "400"})
        assert done.exit_code == 0, done.output
        states(table.read_text() if arguments else done.stdout, "all 10 declared runs are in: 9 are", "unfinished")
        assert "meets" not in done.stdout
    done = CliRunner().invoke(app, ["advise", str(sweep), "--allow", "unfinished"], env={"COLUMNS": "400"})
    assert "meets" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (["--max-memory", "much"], ("--max-memory much", "16GB", "800MB")),
        (["--at-least", "accuracy"], ("--at-least accuracy", "METRIC=VALUE")),
        (["--prefer", "tiem"], ("--prefer tiem", "mean time?")),
        (["--allow", "datta"], ("--allow datta", "mean data?")),
    ],
)
def test_mistakes_are_one_sentence(sweep: Path, arguments: list[str], facts: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, ["advise", str(sweep), *arguments], env={"COLUMNS": "200"})
    assert done.exit_code == 2
    assert len(done.stderr.strip().splitlines()) == 1
    states(done.stderr, *facts)
