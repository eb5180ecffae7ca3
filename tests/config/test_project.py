"""`ftlab.toml`: which folder it names, and what is told where it cannot be used."""

from pathlib import Path

import pytest

from ftlab.cli.hydra_command import run_with_hydra
from ftlab.config.project import MARKER, project_conf
from ftlab.core.errors import ConfigError
from tests.fixtures.refusals import refused
from tests.fixtures.user_kinds import WriteKind


@pytest.mark.parametrize(
    ("text", "conf"),
    [
        ("", "conf"),
        ('conf = "conf"\n', "conf"),
        ('conf = "my choices/of it"', "my choices/of it"),
        ("# mine\n", "conf"),
    ],
)
def test_the_folder_is_the_one_that_is_named(text: str, conf: str, tmp_path: Path) -> None:
    (tmp_path / MARKER).write_text(text, encoding="utf-8")
    (tmp_path / conf).mkdir(parents=True)
    assert project_conf(tmp_path) == tmp_path / conf


def test_without_the_file_there_is_no_project(tmp_path: Path) -> None:
    (tmp_path / "conf" / "method").mkdir(parents=True)
    assert project_conf(tmp_path) is None


@pytest.mark.parametrize(
    ("text", "culprits"),
    [
        (b"conf = conf", ["line 1", 'conf = "conf"']),
        (b'conf = "\xff"', ["TOML"]),
        (b"confs = 'a'", ["confs", "did you mean conf?"]),
        (b"[tool.other]\na = 1", ["tool"]),
        (b"conf = 3", ["conf=3", 'conf = "conf"']),
        (b"conf = ['conf']", ["conf=['conf']"]),
        (b"conf = 'nowhere'", ["conf='nowhere'", "create"]),
        (b"conf = 'ftlab.toml'", ["conf='ftlab.toml'"]),
        (b"conf = '../beside'", ["conf='../beside'", "--config-dir"]),
        (b"conf = 'conf/../../beside'", ["conf='conf/../../beside'", "--config-dir"]),
        (b"conf = '/'", ["conf='/'", "--config-dir"]),
        (b"conf = '.'", ["conf='.'", "below"]),
        (b"conf = ''", ["conf=''"]),
    ],
)
def test_a_file_that_cannot_be_used_is_told(text: bytes, culprits: list[str], tmp_path: Path) -> None:
    here = tmp_path / "here"
    (here / "conf").mkdir(parents=True)
    (tmp_path / "beside").mkdir()
    (here / MARKER).write_bytes(text)
    with refused(ConfigError, MARKER, *culprits) as error:
        project_conf(here)
    assert "\n" not in str(error.value)


def test_kinds_of_the_project_are_known(write_kind: WriteKind, tmp_path: Path) -> None:
    (tmp_path / MARKER).touch()
    write_kind("conf/kinds/stars_project.py")
    write_kind("more/stars_typed.py")
    seen: list[str] = []
    for task in ("stars_project", "stars_typed"):
        run_with_hydra(
            ["kinds=[more/stars_typed.py]", f"dataset.task={task}"], lambda config: seen.append(config.dataset.task)
        )
    assert seen == ["stars_project", "stars_typed"]
