"""Docs against code: commands compose, tables are those of the code, links lead somewhere."""

import re
import shlex
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from ftlab.cli.choices import group_choices
from ftlab.cli.hydra_command import run_with_hydra
from ftlab.cli.init import create_project
from ftlab.config.paths import conf_dir
from ftlab.config.run_config import RunConfig
from tests.fixtures.compose import composed

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "README.zh.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md"]
pytestmark = pytest.mark.xdist_group("docs")  # choices that commands share are composed once
COMMAND = re.compile(r"^\s*python train\.py (.*?)(?:\s{2,}#.*)?$", re.MULTILINE)


def _commands() -> list[str]:
    return sorted({match for page in PAGES for match in COMMAND.findall(page.read_text(encoding="utf-8"))})


def _first_job(command: str) -> list[str]:
    """Return the overrides of the first job of a command line."""
    words = [word for word in shlex.split(command) if word != "-m"]
    overrides = OverridesParser.create().parse_overrides(words)
    return [
        f"{o.key_or_group}={next(o.sweep_string_iterator())}" if o.is_sweep_override() else str(o.input_line)
        for o in overrides
    ]


def test_there_are_commands() -> None:
    assert "-m method=lora,prefix,full" in _commands()


@pytest.mark.slow
@pytest.mark.parametrize("command", [c for c in _commands() if "--" not in c])
def test_every_command_composes(command: str) -> None:
    assert composed(*_first_job(command))


def test_every_command_of_a_project_composes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # the command line sets it: put back what was there
    text = (ROOT / "docs" / "own_project.md").read_text(encoding="utf-8")
    commands = re.findall(r"^    ftlab (?:train|data) ([^-].*?|-m .*?)(?:\s{2,}#.*)?$", text, re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        configs: list[RunConfig] = []
        run_with_hydra(_first_job(command), configs.append)
        assert [config.dataset.name for config in configs] == ["tickets"]


def test_every_target_of_make_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {target for page in PAGES for target in re.findall(r"^\s+make ([a-z-]+)", page.read_text(), re.MULTILINE)}
    assert {"demo", "test"} <= named <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("page", ["README.md", "README.zh.md"])
def test_the_table_of_methods_is_that_of_conf(page: str) -> None:
    rows = [f"| `{name}` | {line} |" for name, line in group_choices(conf_dir())["method"].items()]
    assert rows
    text = (ROOT / page).read_text(encoding="utf-8")
    table = text.partition("<!-- methods -->")[2].partition("<!-- /methods -->")[0]
    assert table.strip().splitlines()[2:] == rows
