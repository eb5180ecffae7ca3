"""Composition by Hydra: flags in any order, a user's folder in the search path, the folder that a command returns."""

import pickle
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException

from ftlab.cli import hydra_command
from ftlab.cli.error_messages import as_user_error
from ftlab.cli.hydra_command import run_with_hydra
from ftlab.cli.training import run_experiments
from ftlab.config.paths import conf_dir
from ftlab.config.run_config import RunConfig
from ftlab.core.errors import ConfigError
from ftlab.launch import local
from ftlab.sweeps import plan, run
from ftlab.sweeps.interrupts import Interrupted
from ftlab.sweeps.jobs import JobsFailed, run_name
from tests.cli.test_training import train
from tests.fixtures.refusals import refused
from tests.sweeps.test_lr_search import FakeSweep


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # the command line sets it: put back what was there


def own_conf(folder: Path) -> Path:
    """Write method=mine, which is LoRA."""
    (folder / "method").mkdir(parents=True)
    (folder / "method" / "mine.yaml").write_text("# Mine\ndefaults: [lora, _self_]\nname: mine\n", encoding="utf-8")
    return folder


def test_settings_of_a_swept_group_wait_for_each_jobs_choice() -> None:
    overrides = [
        "method=prefix,prompt",
        "method.frozen=true",
        "+method.x=[a,b]",
        "~method.search",
        "optim.lr=1",
        "model=hf",
    ]
    assert hydra_command._with_swept_groups(overrides) == [
        "method=prefix,prompt",
        "method.frozen=choice(true)",  # the default choice, lora, has no such setting
        "+method.x=choice([a,b])",
        "~method.search",
        "optim.lr=1",
        "model=hf",
    ]
    assert hydra_command._with_swept_groups(["method=prefix", "method.frozen=true"]) == [
        "method=prefix",
        "method.frozen=true",
    ]


def _printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run_experiments([*arguments]) is None
    return capsys.readouterr().out


@pytest.mark.parametrize("folder", ["mine", "with a space", "../beside"])
def test_a_folder_of_ones_own_is_searched_after_ftlabs_and_before_the_schema(
    folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = own_conf(tmp_path / folder).resolve()
    printed = _printed(capsys, "method=mine", "--config-dir", folder, "--cfg", "hydra")
    sources = yaml.safe_load(printed)["hydra"]["runtime"]["config_sources"]
    assert [source["provider"] for source in sources] == ["hydra", "main", "command-line", "schema"]
    assert sources[2]["path"] == str(own)


def test_other_users_of_hydra_in_the_process_see_nothing_of_it(tmp_path: Path) -> None:
    own_conf(tmp_path / "mine")
    seen: list[str] = []
    for method in ("mine", "lora"):
        run_with_hydra([f"method={method}", "--config-dir", "mine"], lambda config: seen.append(config.method.name))
    assert seen == ["mine", "lora"]
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        sources = compose("train", return_hydra_config=True).hydra.runtime.config_sources
    assert [source.provider for source in sources] == ["hydra", "main", "schema"]


def test_what_is_run_may_use_hydra_itself() -> None:
    def act(_: RunConfig) -> None:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            assert compose("train").seed == 0

    run_with_hydra([], act)


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (["--cfg", "job", "optim.lr=1"], ["  lr: 1"]),
        (["-c", "job", "-p", "optim", "--resolve"], ["# @package optim", "lr: 0.002"]),
        (["--hydra-help"], ["hydra/launcher: basic, local, ray, submitit_slurm", "--config-dir,-cd : Folder"]),
    ],
)
def test_what_only_shows_something_runs_nothing(
    arguments: list[str], lines: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = _printed(capsys, *arguments)
    for line in lines:
        assert f"\n{line}" in f"\n{printed}"
    assert list(tmp_path.iterdir()) == []


def test_the_search_path_can_be_shown(tmp_path: Path) -> None:
    done = train("--info", "searchpath", cwd=tmp_path)  # a process of its own, as Hydra sets up the logging
    assert (done.returncode, done.stderr) == (0, "")
    assert f"file://{conf_dir()}" in done.stdout


@pytest.mark.parametrize("flag", ["--config-name", "-cn"])
def test_another_root_configuration_can_be_used(flag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = own_conf(tmp_path / "mine")
    (own / "root.yaml").write_text("defaults: [train, _self_]\nseed: 7\n", encoding="utf-8")
    assert "seed: 7\n" in _printed(capsys, flag, "root", "--config-dir", "mine", "--cfg", "job")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["-m", "method=lora,full"],
        ["-m", "method=lora,full", "search=lr"],
        ["hydra.mode=MULTIRUN", "method=lora,full"],
        ["search=lr"],
        ["plan=true"],
        ["-m", "plan=true", "seed=0,1"],
        ["-m", "method=lora", "hydra.sweeper.max_batch_size=1", "seed=0,1"],
    ],
)
def test_the_folder_of_the_run_or_the_sweep_is_returned(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = FakeSweep(lambda config: config.optim.lr)
    monkeypatch.setattr(run, "run_sweep", sweep)
    monkeypatch.setattr(plan, "estimate_costs", lambda *_: {})
    monkeypatch.setattr(local, "LocalExecutor", lambda *_, **__: None)
    named = run_experiments([*arguments, "sweep.name=named"])
    assert named is not None
    is_run = "plan=true" not in arguments and not {"-m", "hydra.mode=MULTIRUN"} & set(arguments)
    assert (named.parent if is_run else named) == Path("outputs/named")
    assert not is_run or named.name in {run_name(config) for jobs in sweep.calls for config in jobs}
    assert bool(sweep.calls) is ("plan=true" not in arguments)
    unnamed = run_experiments(arguments)  # called by the time, which all jobs share
    assert unnamed is not None
    folder = unnamed.parent if is_run else unnamed
    assert folder.parent == Path("outputs")
    assert {Path(config.sweep.dir) for jobs in sweep.calls for config in jobs} <= {Path("outputs/named"), folder}


@pytest.mark.parametrize("arguments", [[], ["-m", "seed=0,1"], ["search=lr"]])
def test_the_error_of_jobs_that_failed_has_the_folder(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "run_sweep", FakeSweep(lambda config: None))
    rates = dict.fromkeys([5e-4, 1e-3, 2e-3, 4e-3], "failed")
    monkeypatch.setattr(run, "run_sweep", FakeSweep(lambda config: None, rates))
    with pytest.raises(JobsFailed) as failed:
        run_experiments([*arguments, "sweep.dir=there"])
    directory = failed.value.directory
    assert (
        directory == Path("there")
        if "search=lr" in arguments or "-m" in arguments
        else directory.parent == Path("there")
    )


@pytest.mark.parametrize("error", [JobsFailed("a job failed.", Path("outputs/x")), Interrupted(2)])
def test_errors_can_be_sent_to_another_process(error: Exception) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))
    assert "outputs" not in str(copy)


def test_sweepers_that_do_not_return_their_jobs_have_no_folder() -> None:
    for returned in (None, 0.5, [], [0.5], [[0.5]], {"best": 1}):
        assert hydra_command._sweep_dir(returned) is None


@pytest.mark.parametrize(
    ("setting", "value"),
    [("target_modules=all-linear", "all-linear"), ("use_rslora=true", True), ("modules_to_save=[score]", ["score"])],
)
def test_settings_of_peft_need_no_plus(setting: str, value: object) -> None:
    configs: list[RunConfig] = []
    hydra_command.run_with_hydra(["method=lora", f"method.config.{setting}"], lambda config: configs.append(config))
    (config,) = configs
    assert (config.method.model_extra or {})["config"][setting.partition("=")[0]] == value


@pytest.mark.parametrize("word", ["method.config.use_rslra=true", "+method.config.use_rslra=true"])
def test_a_typo_among_them_is_one(word: str) -> None:
    with pytest.raises((HydraException, ConfigError)) as raised:
        hydra_command.run_with_hydra([word], lambda config: pytest.fail("a run was started"))
    assert "method.config.use_rslra" in str(as_user_error(raised.value))


@pytest.mark.parametrize("content", [b"1", b"defaults: {a: b}", b"# \xf8\nseed: 1\n", b"a: " + b"[" * 2000])
def test_a_file_that_is_no_mapping_is_named(content: bytes, tmp_path: Path) -> None:
    file = own_conf(tmp_path / "conf") / "method" / "mine.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as raised:
        hydra_command.run_with_hydra(["--config-dir=conf", "method=mine"], lambda config: pytest.fail("it was used"))
    assert str(file) in str(raised.value)


@pytest.mark.parametrize("word", ["budget=5", "budget=null", "method=1e-4", "model=[[1],[2]]"])
def test_what_names_no_choice_is_refused(word: str) -> None:
    for flags in ([], ["-m"]):
        with refused(ConfigError, word):
            hydra_command.run_with_hydra([*flags, word], lambda config: pytest.fail("a run was started"))
