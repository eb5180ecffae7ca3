"""Command `ftlab race`: the plan of a race, from the runs of a pilot."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from ftlab.cli.app import app
from tests.comparison.answered import answers, with_hits, with_losses
from tests.comparison.factory import add_run
from tests.fixtures.statements import states


def pilot(sweep: Path, accuracies: dict[str, float], seeds: Sequence[int] = (0, 1)) -> Path:
    rng, hard = np.random.default_rng(0), np.random.default_rng(1).normal(size=400)
    for method, accuracy in accuracies.items():
        for seed in seeds:
            with_hits(sweep, method, seed, answers(rng, 400, accuracy + rng.normal(0, 0.005), hard))
    return sweep


def said(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["race", *arguments])
    return done.exit_code, " ".join(done.output.split())


def test_a_clear_field_costs_little_and_finds_the_best(tmp_path: Path) -> None:
    status, text = said(str(pilot(tmp_path, {"full": 0.95, "lora": 0.80, "head": 0.60})), "--margin", "5%")
    assert status == 0
    states(text, "bbc_news", 0.05, "accuracy", "30", "3 methods", "10 seeds", "full 100%", "answer in 100%")
    found = re.search(r"(\d+) runs on average", text)
    assert found is not None
    assert int(found[1]) < 15


def test_a_ranking_tells_pairs(tmp_path: Path) -> None:
    status, text = said(str(pilot(tmp_path, {"full": 0.95, "lora": 0.80})), "--goal", "ranking", "--max-seeds", "4")
    assert status == 0
    states(text, "order of all pairs", "8", "pairs")


def test_a_loss_needs_a_margin_and_is_better_if_lower(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    base = rng.gamma(2, size=300)
    for method, shift in (("full", 0.0), ("lora", 2.0)):
        for seed in range(2):
            with_losses(tmp_path, method, seed, base + shift + rng.normal(0, 0.1, 300), [10] * 300)
    status, text = said(str(tmp_path))
    assert status == 2
    states(text, "--margin", "loss")
    status, text = said(str(tmp_path), "--margin", "0.1")
    assert status == 0
    states(text, "full 100%", "lora 0%")


def test_what_is_no_pilot_is_said_in_a_sentence(tmp_path: Path) -> None:
    status, text = said(str(pilot(tmp_path / "one_seed", {"full": 0.9, "lora": 0.8}, seeds=(0,))))
    assert status == 2
    states(text, "two rows", "two common seeds", "seed=0,1")
    for method in ("full", "lora"):
        for seed in range(2):
            add_run(tmp_path / "without", method, seed=seed)
    status, text = said(str(tmp_path / "without"))
    assert status == 2
    states(text, "predictions")
