"""The command line: help that teaches, and one sentence for each mistake, before anything starts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ftlab.cli_help import group_choices
from ftlab.paths import conf_dir

ROOT = Path(__file__).parents[1]


def train(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run train.py as a user does."""
    return subprocess.run(
        [sys.executable, str(ROOT / "train.py"), *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
    )


def test_every_choice_has_a_line_in_the_help(tmp_path: Path) -> None:
    done = train("--help", cwd=tmp_path)
    assert done.returncode == 0
    groups = group_choices(conf_dir())
    assert {"method", "model", "dataset", "hardware", "quant", "optim", "tracker", "budget", "experiment"} == set(
        groups
    )
    for group, choices in groups.items():
        assert choices, group
        for choice, line in choices.items():
            assert len(line) > 10, f"{group}/{choice} has no first comment line"
            assert choice in done.stdout
            assert line in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["method=lroa"], "method=lroa does not exist: did you mean lora?"),
        (["-m", "method=lora,prefx"], "method=prefx does not exist: did you mean prefix?"),
        (["model=minlm"], "model=minlm does not exist: did you mean minilm?"),
        (["dataset=bbcnews"], "dataset=bbcnews does not exist: did you mean bbc_news?"),
        (["metod=lora"], "metod is not a setting of ftlab: did you mean method?"),
        (["optim.leraning_rate=1"], "optim.leraning_rate is not a setting of ftlab:"),
        (["method=prefix", "method.config.num_virtual_token=3"], "did you mean num_virtual_tokens?"),
        (["seed=abc"], "seed='abc' is not valid: input should be a valid integer."),
        (["optim.lr=0"], "optim.lr=0 is not valid: input should be greater than 0."),
        (["-m", "optim.lr=0.1,-1"], "optim.lr=-1 is not valid: input should be greater than 0."),
        (["budget.epochs=null"], "set epochs or steps, both are null."),
        (["dataset=text_files"], "dataset.source.train is not set: add dataset.source.train=VALUE."),
        (["seed=[1"], "cannot read"),
    ],
)
def test_a_mistake_is_told_in_one_sentence_and_nothing_is_written(
    arguments: list[str], sentence: str, tmp_path: Path
) -> None:
    done = train(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not [path for path in (tmp_path / "outputs").glob("*") if path.name != ".hydra"]


def test_comparing_nothing_is_told(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ftlab", "compare", str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert str(tmp_path) in done.stderr.replace("\n", "")
