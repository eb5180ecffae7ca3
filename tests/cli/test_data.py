"""`ftlab data` as it is typed: what train takes, in one page or one sentence."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from ftlab.cli.app import app
from tests.fixtures.checkpoints import tiny
from tests.fixtures.statements import states
from tests.rows import classification_csv


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # the command line sets it: put back what was there


def test_it_takes_what_train_takes_and_leaves_nothing_behind(tmp_path: Path) -> None:
    own = tmp_path / "mine" / "dataset" / "tickets.yaml"
    own.parent.mkdir(parents=True)
    own.write_text(yaml.safe_dump({"defaults": ["text_files", "_self_"], "name": "tickets"}), encoding="utf-8")
    file, model = classification_csv(tmp_path / "c.csv"), tiny("bert")
    before = {path for path in tmp_path.rglob("*")}
    source = ["dataset=tickets", f"dataset.source.train={file.name}", "model=hf", f"model.name={model}"]
    done = CliRunner().invoke(app, ["data", "--config-dir", str(tmp_path / "mine"), "--rows", "1", *source])
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("tickets · ")
    states(done.stdout, "text/label", 120)
    assert done.stdout.count("answer: ") == 1
    assert {path for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (["dataset=text_file"], ("dataset=text_file", "mean text_files?")),
        (["dataset=text_files"], ("dataset.source.train=VALUE",)),
        (["dataset=text_files", "dataset.source.train=missing.csv"], ("missing.csv",)),
        (["-m", "seed=0,1"], ("ftlab data", "-m ")),
        (["method=lora,prefix"], ("method",)),
    ],
)
def test_a_mistake_is_one_sentence(arguments: list[str], facts: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, ["data", *arguments])
    assert done.exit_code == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stderr.startswith("error: ")
    states(done.stderr, *facts)


def test_help_teaches_by_examples() -> None:
    done = CliRunner().invoke(app, ["data", "--help"], env={"COLUMNS": "200"})
    assert done.exit_code == 0
    assert "ftlab data dataset=text_files dataset.source.train=reviews.csv" in done.stdout
    assert "--rows" in done.stdout
