"""The command line: help that teaches, and one sentence for each mistake, before anything starts."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ftlab.cli import app, training
from ftlab.cli.choices import group_choices
from ftlab.config.paths import conf_dir
from ftlab.config.run_config import RunConfig
from ftlab.core.errors import UserError
from ftlab.launch import forkserver
from ftlab.sweeps.command_line import command_line
from tests.fixtures.statements import states

ROOT = Path(__file__).parents[2]


def process(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of Python's as a user does."""
    env = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, *command], cwd=cwd, capture_output=True, text=True, timeout=600, env=env, check=False
    )


def train(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run train.py as a user does."""
    return process(str(ROOT / "train.py"), *arguments, cwd=cwd)


@pytest.fixture
def error_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return what runs a command line in this process, in an empty folder, and returns the error that it tells."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # the command line sets it: put back what was there
    monkeypatch.setattr(forkserver, "start", lambda: None)
    monkeypatch.setattr(forkserver, "preload_modules", lambda _: pytest.fail("a job was about to start"))

    def error_of(*arguments: str) -> str:
        with pytest.raises(SystemExit) as exit:  # any other exception would be a traceback
            training.train([*arguments])
        assert exit.value.code == 2
        return _one_line(capsys.readouterr().err)

    return error_of


def _one_line(error: str) -> str:
    assert len(error.strip().splitlines()) == 1, error
    assert error.startswith("error: ")
    return error


def test_every_choice_has_a_line_in_the_help(tmp_path: Path) -> None:
    done = train("--help", cwd=tmp_path)
    assert done.returncode == 0
    groups = group_choices(conf_dir())
    own = {"method", "model", "dataset", "hardware", "quant", "optim", "tracker", "budget", "loss", "experiment"}
    assert own | {"robustness", "search", "hydra/launcher", "hydra/sweeper"} == set(groups)
    for group, choices in groups.items():
        assert choices, group
        for choice, line in choices.items():
            assert len(line) > 10, f"{group}/{choice} has no first comment line"
            assert choice in done.stdout
            assert line in done.stdout
    assert "plan=true" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (["method=lroa"], ("method=lroa", "mean lora?")),
        (["-m", "sweep.dir=elsewhere", "method=lora,prefx"], ("method=prefx", "mean prefix?")),
        pytest.param(["model=minlm"], ("model=minlm", "mean minilm?"), marks=pytest.mark.slow),
        pytest.param(["dataset=bbcnews"], ("dataset=bbcnews", "mean bbc_news?"), marks=pytest.mark.slow),
        (["experiment=bert_imdb"], ("experiment=bert_imdb", "mean bert_imdb_full?")),
        (["metod=lora"], ("metod ", "mean method?")),
        (["optim.leraning_rate=1"], ("optim.leraning_rate ", "lr")),
        (["method=prefix", "method.virtual_token=3"], ("method.virtual_token ", "mean virtual_tokens?")),
        (["seed=abc"], ("seed='abc'", "integer")),
        pytest.param(["optim.lr=0"], ("optim.lr=0 ", "greater than 0"), marks=pytest.mark.slow),
        (["-m", "optim.lr=0.1,-1"], ("optim.lr=-1 ", "greater than 0")),
        (["budget.epochs=null"], ("epochs", "steps", "null", "tokens, seconds, flops")),
        (["dataset=text_files"], ("dataset.source.train=VALUE",)),
        (["seed=[1"], ("seed=[1",)),
        (["model=_bas"], ("model=_bas", "choose one of bert-base-uncased,")),
        (["seed.x=1"], ("seed.x ",)),
        (["~optim.lrr"], ("optim.lrr",)),
        pytest.param(["optim.lr=inf"], ("optim.lr=inf", "finite number"), marks=pytest.mark.slow),
        (["-m", "sweep.dir=null"], ("sweep.dir=None", "string")),
        (["-m", "sweep=null"], ("sweep=None",)),
        (["-m", "sweep.dir=a,b"], ("sweep.dir", 2)),
        (["-m", "seed=range(0,0)"], ("job", 0)),
        (["plan=maybe"], ("plan='maybe'", "False", "True", "'first'")),
        (["-m", "plan=true", "hydra/sweeper=optuna"], ("plan", "search")),
        (["-m", "plan=true,false"], ("plan", "sweep")),
        (["plan=true", "hardware=fsdp_cpu"], ("plan", "hardware.strategy=fsdp")),
        (["-m", "--cfg", "job"], ("--multirun", "--cfg")),
        (["--resolve"], ("--resolve", "--cfg job")),
        (["--config-dir", "nodir"], ("--config-dir nodir", "create the folder")),
        (["--config-path", "nodir"], ("--config-path nodir",)),
        (["--config-dir"], ("--config-dir", "one argument")),
        (["--shell-compl"], ("--shell-completion", "-sc install=bash")),
        (["--vers"], ("--vers", "mean --version?")),
        (["--multirum"], ("--multirum", "mean --multirun?")),
        (["-m", "-m", "-r"], ("--run", "--multirun")),
        (["--cfg", "jobs"], ("--cfg", "'job', 'hydra', 'all'")),
        (["--experimental-rerun", "x.pickle"], ("--experimental-rerun",)),
    ],
)
def test_a_mistake_is_told_in_one_sentence_and_nothing_is_written(
    arguments: list[str], facts: tuple[object, ...], error_of: Callable[..., str], tmp_path: Path
) -> None:
    states(error_of(*arguments), *facts)
    assert list(tmp_path.iterdir()) == []


def test_the_process_of_a_mistake_ends_with_status_2_and_no_traceback(tmp_path: Path) -> None:
    done = train("-m", "method=lora,prefx", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    states(_one_line(done.stderr), "method=prefx", "mean prefix?")
    assert "Traceback" not in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def own_conf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder for `--config-dir`: method=mine, which is LoRA."""
    folder = tmp_path_factory.mktemp("conf")
    (folder / "method").mkdir()
    (folder / "method" / "mine.yaml").write_text("defaults: [lora]\n", encoding="utf-8")
    return folder


def test_a_typo_beside_a_choice_of_ones_own_is_told(
    own_conf: Path, error_of: Callable[..., str], tmp_path: Path
) -> None:
    told = error_of("method=mine", "--config-dir", str(own_conf), "method.config.lora_alhpa=1")
    states(told, "method.config.lora_alhpa ", "mean lora_alpha?")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("multirun", [[], ["-m"]])
def test_a_file_that_is_no_yaml_is_named(
    multirun: list[str], own_conf: Path, error_of: Callable[..., str], tmp_path: Path
) -> None:
    path = own_conf / "method" / "mine.yaml"
    path.write_text("name: mine\nlr: 1: 2\n", encoding="utf-8")
    told = error_of(*multirun, "--config-dir", str(own_conf), "method=mine")
    states(told, "mapping values are not allowed here", str(path), "line 2")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("multirun", [[], ["-m"]])
def test_a_sweep_under_a_file_is_told(multirun: list[str], error_of: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    states(error_of(*multirun, "sweep.dir=file/sweep"), "file/sweep")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_flags_stand_anywhere_and_the_command_is_kept_as_typed(own_conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = [
        "seed=3",
        "--config-dir",
        str(own_conf),
        "~tracker.tags",
        "+method.search.a=1",
        "-m",
        "method=mine,head",
    ]
    started: list[RunConfig] = []
    commands: list[list[str]] = []

    def run_sweep(configs: list[RunConfig], *_: object) -> None:
        started.extend(configs)
        commands.append(command_line())
        raise UserError("seen enough")

    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # the command line sets it: put back what was there
    monkeypatch.setattr("ftlab.sweeps.run.run_sweep", run_sweep)
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/ftlab", "train", *arguments])
    with pytest.raises(SystemExit):
        app.main()
    assert [(config.method.name, config.seed) for config in started] == [("lora", 3), ("head", 3)]
    assert commands == [["ftlab", "train", *arguments]]


def test_comparing_nothing_is_told(tmp_path: Path) -> None:
    done = process("-m", "ftlab", "compare", str(tmp_path), cwd=tmp_path)
    assert done.returncode == 2
    assert str(tmp_path) in _one_line(done.stderr)
