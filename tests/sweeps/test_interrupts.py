"""Sentence of an interrupted command: how to go on."""

import signal
import sys
from pathlib import Path

import pytest

from ftlab.sweeps.interrupts import Interrupted, resuming_remedy


@pytest.mark.parametrize(
    ("words", "sweep", "remedy"),
    [
        (["sweep.name=mine"], "outputs/mine", "run the same command again to go on."),
        (["sweep.dir=/data/mine"], "/data/mine", "run the same command again to go on."),
        (
            ["-m", "method=lora,full", "dataset.source.train=a b.csv"],
            "outputs/2026-12-01_08-31-14",
            "run the same command with sweep.name=2026-12-01_08-31-14 to go on: "
            "python train.py -m method=lora,full 'dataset.source.train=a b.csv' sweep.name=2026-12-01_08-31-14",
        ),
        (
            ["tracker.api_key=abcdef123456"],  # is not shown, and a command with *** in its place does not run
            "outputs/mine",
            "run the same command with sweep.name=mine to go on.",
        ),
        (
            ["experiment=mine"],  # which sets the folder
            "elsewhere/mine",
            "run the same command with sweep.dir=elsewhere/mine to go on: "
            "python train.py experiment=mine sweep.dir=elsewhere/mine",
        ),
    ],
)
def test_the_sentence_has_the_command_that_resumes(
    words: list[str], sweep: str, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py", *words])
    assert resuming_remedy(Path(sweep)) == remedy
    assert str(Interrupted(signal.SIGINT, remedy)) == f"interrupted by SIGINT; {remedy}"
    assert str(Interrupted(signal.SIGINT)) == "stopped by SIGINT."


def test_the_command_names_a_script_that_is_not_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (script := tmp_path / "train.py").touch()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setattr(sys, "argv", [str(script), "seed=1"])
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert resuming_remedy(Path("outputs/mine")).endswith(f": python {script} seed=1 sweep.name=mine")
    monkeypatch.chdir(tmp_path)
    assert resuming_remedy(Path("outputs/mine")).endswith(": python train.py seed=1 sweep.name=mine")
