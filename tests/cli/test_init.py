"""`ftlab init`: a project that works at once, or one sentence and nothing written."""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from ftlab.cli import init
from ftlab.cli.app import app
from ftlab.cli.choices import group_choices
from ftlab.cli.hydra_command import run_with_hydra
from ftlab.config.paths import conf_dir, project_template
from ftlab.config.project import project_conf
from ftlab.config.run_config import RunConfig
from ftlab.core.errors import ConfigError, UserError
from ftlab.record import find_records
from tests.cli.test_training import process, train
from tests.fixtures.checkpoints import tiny
from tests.fixtures.refusals import refused
from tests.fixtures.statements import states

FILES = {
    "README.md",
    ".gitignore",
    "ftlab.toml",
    "data/tickets.csv",
    *(f"conf/{name}.yaml" for name in ("dataset/tickets", "experiment/tickets", "method/lora_small")),
}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # the command line sets it: put back what was there


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def _configs(*arguments: str) -> list[RunConfig]:
    configs: list[RunConfig] = []
    run_with_hydra([*arguments], configs.append)
    return configs


@pytest.mark.parametrize("name", ["mine", "with a space", "deep/er", "."])
def test_a_project_is_made_and_what_to_do_next_is_told(name: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["init", name])
    assert done.exit_code == 0, done.output
    assert _files(tmp_path / name) == FILES
    commands = [shlex.split(line) for line in done.stdout.splitlines() if line.startswith("  ")]
    assert commands[0] == (["ftlab", "data", "dataset=tickets"] if name == "." else ["cd", name])
    assert "ftlab train experiment=tickets" in done.stdout
    assert "outputs/" in (tmp_path / name / ".gitignore").read_text(encoding="utf-8")


def test_its_choices_are_found_explained_and_compose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    init.create_project(tmp_path / "mine")
    monkeypatch.chdir(tmp_path / "mine")
    choices = group_choices(tmp_path / "mine" / "conf")
    assert {group: list(names) for group, names in choices.items()} == {
        "dataset": ["tickets"],
        "experiment": ["tickets"],
        "method": ["lora_small"],
    }
    assert all(len(line) > 10 for names in choices.values() for line in names.values())
    (config,) = _configs("experiment=tickets")
    assert (config.dataset.name, config.method.name, config.tracker.name) == ("tickets", "lora_small", "none")
    assert config.method.model_extra["config"]["r"] == 4
    commands = re.findall(
        r"^    ftlab (?:train|data) (.*?)(?:\s{2,}#.*)?$", Path("README.md").read_text(), re.MULTILINE
    )
    assert len(commands) == 4
    for command in (*commands, *(text.partition(" ")[2].partition(" ")[2] for text in init._NEXT)):
        words = [word for word in command.split() if word not in ("-m", "--help")]
        for method in ("lora_small", "lora", "full"):
            assert _configs(*(re.sub("=lora_small,.*", f"={method}", word) for word in words))


def test_the_example_data_are_what_their_file_says() -> None:
    lines = (project_template() / "data" / "tickets.csv").read_text(encoding="utf-8").splitlines()
    rows = [line.split(",") for line in lines[1:]]
    assert lines[0] == "message,team"
    assert len({message for message, _ in rows}) == len(rows) == 48
    teams = [team for _, team in rows]
    assert {team: teams.count(team) for team in teams} == {"billing": 16, "shipping": 16, "technical": 16}


@pytest.mark.slow
def test_the_example_trains_without_config_dir(tmp_path: Path) -> None:
    init.create_project(tmp_path / "mine")
    model = ["model=hf", f"model.name={tiny('bert')}", "budget.steps=2"]
    done = train("experiment=tickets", *model, "sweep.name=first", cwd=tmp_path / "mine")
    assert done.returncode == 0, done.stderr
    ((_, record),) = find_records(tmp_path / "mine" / "outputs" / "first")
    assert (record.status, record.method, record.dataset) == ("completed", "lora_small", "tickets")
    done = process("-m", "ftlab", "train", "-m", "seed=0,1", "experiment=tickets", *model, cwd=tmp_path / "mine")
    assert done.returncode == 0, done.stderr


def test_help_marks_the_choices_of_the_project(tmp_path: Path) -> None:
    init.create_project(tmp_path / "mine")
    (tmp_path / "mine" / "conf" / "voice").mkdir()
    (tmp_path / "mine" / "conf" / "voice" / "loud.yaml").write_text("# [b]Loud[/b]\n", encoding="utf-8")
    for done in (
        process("-m", "ftlab", "train", "--help", cwd=tmp_path / "mine"),
        train("--help", "--config-dir", "mine/conf", cwd=tmp_path),
    ):
        assert done.returncode == 0, done.stderr
        marked = [line.split()[0] for line in done.stdout.splitlines() if " (yours) " in line]
        assert marked == ["tickets", "tickets", "lora_small", "loud"]
        states(done.stdout, "[b]Loud[/b]", str(tmp_path / "mine" / "conf"))
    assert "(yours)" not in train("--help", cwd=tmp_path).stdout


def test_data_shows_the_projects_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    init.create_project(tmp_path / "mine")
    monkeypatch.chdir(tmp_path / "mine")
    done = CliRunner().invoke(app, ["data", "dataset=tickets", "model=hf", f"model.name={tiny('bert')}"])
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("tickets · ")


def test_only_a_folder_with_the_marker_is_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    init.create_project(tmp_path)
    (tmp_path / "ftlab.toml").rename("other.toml")
    with refused(Exception, "method/lora_small"):
        _configs("method=lora_small")
    (tmp_path / "other.toml").rename("ftlab.toml")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    with refused(Exception, "method/lora_small"):
        _configs("method=lora_small")
    assert project_conf(conf_dir().parent) is None, "a checkout is no project"


def test_config_dir_takes_the_place_of_the_projects_folder(tmp_path: Path) -> None:
    init.create_project(tmp_path)
    other = tmp_path / "other" / "method"
    other.mkdir(parents=True)
    (other / "lora_small.yaml").write_text(yaml.safe_dump({"defaults": ["lora", "_self_"], "name": "other"}))
    assert [config.method.name for config in _configs("method=lora_small")] == ["lora_small"]
    assert [config.method.name for config in _configs("method=lora_small", "--config-dir", "other")] == ["other"]
    with refused(Exception, "experiment/tickets"):
        _configs("experiment=tickets", "--config-dir", "other")


def test_a_choice_that_ftlabs_own_would_hide_is_told(tmp_path: Path) -> None:
    init.create_project(tmp_path)
    (tmp_path / "conf" / "method" / "lora.yaml").write_text("# Mine\nname: mine\n", encoding="utf-8")
    with refused(ConfigError, str(tmp_path / "conf" / "method" / "lora.yaml"), "rename"):
        _configs("method=lora")


@pytest.mark.parametrize("existing", sorted(FILES))
def test_nothing_is_overwritten(existing: str, tmp_path: Path) -> None:
    path = tmp_path / "mine" / existing
    path.parent.mkdir(parents=True)
    path.write_text("precious", encoding="utf-8")
    with refused(UserError, str(path)):
        init.create_project(tmp_path / "mine")
    assert _files(tmp_path / "mine") == {existing}
    assert path.read_text(encoding="utf-8") == "precious"


@pytest.mark.parametrize("file", ["mine", "mine/conf", "mine/conf/method"])
def test_a_file_where_a_folder_belongs_is_told(file: str, tmp_path: Path) -> None:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).touch()
    done = CliRunner().invoke(app, ["init", "mine"])
    assert (done.exit_code, len(done.stderr.splitlines())) == (2, 1)
    states(done.stderr, file, "choose another folder")
    assert _files(tmp_path) == {file}


@pytest.mark.parametrize("existing", [[], ["mine"], ["mine/conf"]])
def test_a_project_that_cannot_be_written_leaves_nothing_behind(
    existing: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in existing:
        (tmp_path / folder).mkdir(parents=True)
    before = set(tmp_path.rglob("*"))
    mkdir = Path.mkdir

    def full(self: Path, *_: object) -> None:
        if self.name == "method":
            raise OSError(28, "No space left on device", str(self))
        mkdir(self)

    monkeypatch.setattr(Path, "mkdir", full)
    done = CliRunner().invoke(app, ["init", "mine"])
    assert (done.exit_code, len(done.stderr.splitlines())) == (2, 1)
    states(done.stderr, "conf/method", "No space left on device")
    assert set(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["", " "])
def test_a_name_that_is_empty_is_not_the_working_directory(name: str, tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["init", name]).exit_code == 2
    assert not list(tmp_path.iterdir())
