"""The scripts in examples/, run as a reader runs them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.statements import states

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.parametrize("script", EXAMPLES, ids=lambda script: script.name)
def test_an_example_runs(script: Path, tmp_path: Path) -> None:
    env = {**os.environ, "COLUMNS": "120"}
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning:__main__", str(script)],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    states(done.stdout, "4 completed", "test_accuracy", "p_adjusted", "right in all runs", "step")
    assert "sports" in done.stdout.splitlines()[-2]
