"""The command line: help that teaches, and one sentence for each mistake, before anything starts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ftlab import sweep
from ftlab.cli import app, training
from ftlab.cli.help import group_choices
from ftlab.errors import UserError
from ftlab.paths import conf_dir
from ftlab.schema import RunConfig

ROOT = Path(__file__).parents[2]


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
    ("arguments", "sentence"),
    [
        (["method=lroa"], "method=lroa does not exist: did you mean lora?"),
        (["-m", "method=lora,prefx"], "method=prefx does not exist: did you mean prefix?"),
        (["model=minlm"], "model=minlm does not exist: did you mean minilm?"),
        (["dataset=bbcnews"], "dataset=bbcnews does not exist: did you mean bbc_news?"),
        (["experiment=bert_imdb"], "experiment=bert_imdb does not exist: did you mean bert_imdb_full?"),
        (["metod=lora"], "metod is not a setting of ftlab: did you mean method?"),
        (["optim.leraning_rate=1"], "optim.leraning_rate is not a setting of ftlab:"),
        (["method=prefix", "method.virtual_token=3"], "did you mean virtual_tokens?"),
        (["seed=abc"], "seed='abc' is not valid: input should be a valid integer."),
        (["optim.lr=0"], "optim.lr=0 is not valid: input should be greater than 0."),
        (["-m", "optim.lr=0.1,-1"], "optim.lr=-1 is not valid: input should be greater than 0."),
        (["budget.epochs=null"], "set epochs or steps, both are null (or tokens, seconds, flops)."),
        (["dataset=text_files"], "dataset.source.train is not set: add dataset.source.train=VALUE."),
        (["seed=[1"], "cannot read"),
        (["model=_bas"], "model=_bas does not exist: (choices: bert-base-uncased,"),
        (["seed.x=1"], "seed.x is not a setting of ftlab: what is above it has no settings."),
        (["~optim.lrr"], "'optim.lrr' does not exist."),
        (["optim.lr=inf"], "optim.lr=inf is not valid: input should be a finite number."),
        (["-m", "sweep.dir=null"], "sweep.dir=None is not valid: input should be a valid string."),
        (["-m", "sweep=null"], "sweep=None is not valid:"),
        (["-m", "sweep.dir=a,b"], "a sweep has at least one job and one sweep.dir for all, not 2."),
        (["-m", "seed=range(0,0)"], "a sweep has at least one job and one sweep.dir for all, not 0."),
        (["plan=maybe"], "plan='maybe' is not valid: input should be False, True or 'first'."),
        (["-m", "plan=true", "hydra/sweeper=optuna"], "plan is for jobs that are known, and a search finds its own"),
        (["-m", "plan=true,false"], "plan is the same for all jobs of a sweep: give it one value."),
        (["plan=true", "hardware=fsdp_cpu"], "plan tries each job on one device, and hardware.strategy=fsdp shares"),
        (["-m", "--cfg", "job"], "--multirun and --cfg exclude each other: give one of them."),
        (["--resolve"], "--resolve has no effect without --cfg: add --cfg job."),
        (["-m", "sweep.dir=elsewhere", "method=lora,prefx"], "method=prefx does not exist: did you mean prefix?"),
    ],
)
def test_a_mistake_is_told_in_one_sentence_and_nothing_is_written(
    arguments: list[str], sentence: str, tmp_path: Path
) -> None:
    _is_told(sentence, train(*arguments, cwd=tmp_path))
    assert list(tmp_path.iterdir()) == []


def _is_told(sentence: str, done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.fixture
def own_conf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder for `--config-dir`: method=mine, which is LoRA."""
    folder = tmp_path_factory.mktemp("conf")
    (folder / "method").mkdir()
    (folder / "method" / "mine.yaml").write_text("defaults: [lora]\n", encoding="utf-8")
    return folder


def test_a_typo_beside_a_choice_of_ones_own_is_told(own_conf: Path, tmp_path: Path) -> None:
    arguments = ["method=mine", "--config-dir", str(own_conf), "method.config.lora_alhpa=1"]
    sentence = "method.config.lora_alhpa is not a setting of ftlab: did you mean lora_alpha?"
    _is_told(sentence, train(*arguments, cwd=tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("multirun", [[], ["-m"]])
def test_a_file_that_is_no_yaml_is_named(multirun: list[str], own_conf: Path, tmp_path: Path) -> None:
    path = own_conf / "method" / "mine.yaml"
    path.write_text("name: mine\nlr: 1: 2\n", encoding="utf-8")
    done = train(*multirun, "--config-dir", str(own_conf), "method=mine", cwd=tmp_path)
    _is_told(f'mapping values are not allowed here in "{path}", line 2', done)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("multirun", [[], ["-m"]])
def test_a_sweep_under_a_file_is_told(multirun: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    _is_told("cannot use file/sweep", train(*multirun, "sweep.dir=file/sweep", cwd=tmp_path))
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
        commands.append(sweep._command())
        raise UserError("seen enough")

    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # the command line sets it: put back what was there
    monkeypatch.setattr(sweep, "run_sweep", run_sweep)
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/ftlab", "train", *arguments])
    with pytest.raises(SystemExit):
        app.main()
    assert [(config.method.name, config.seed) for config in started] == [("lora", 3), ("head", 3)]
    assert commands == [["ftlab", "train", *arguments]]


def test_settings_of_a_swept_group_wait_for_each_jobs_choice() -> None:
    overrides = [
        "method=prefix,prompt",
        "method.frozen=true",
        "+method.x=[a,b]",
        "~method.search",
        "optim.lr=1",
        "model=hf",
    ]
    assert training._with_swept_groups(overrides) == [
        "method=prefix,prompt",
        "method.frozen=choice(true)",  # the default choice, lora, has no such setting
        "+method.x=choice([a,b])",
        "~method.search",
        "optim.lr=1",
        "model=hf",
    ]
    assert training._with_swept_groups(["method=prefix", "method.frozen=true"]) == [
        "method=prefix",
        "method.frozen=true",
    ]


def test_comparing_nothing_is_told(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ftlab", "compare", str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert str(tmp_path) in done.stderr.replace("\n", "")
