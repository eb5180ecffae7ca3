"""The working directory is searched last, or not at all, however it came into the search path."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ftlab.core import import_path
from ftlab.core.import_path import search_cwd_last


@pytest.mark.parametrize("entry", ["", ".", "{cwd}", "{cwd}/."])
@pytest.mark.parametrize("searched", [True, False])
def test_it_comes_after_all_else(entry: str, searched: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry.format(cwd=tmp_path), "/somewhere/lib", "/somewhere/site-packages"])
    search_cwd_last(searched=searched)
    assert sys.path == ["/somewhere/lib", "/somewhere/site-packages", *([str(tmp_path)] if searched else [])]


def test_where_ftlab_itself_is_the_working_directory_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(import_path._OWN_ROOT)
    monkeypatch.setattr(sys, "path", ["", "/somewhere/lib"])
    search_cwd_last(searched=False)
    assert sys.path == ["/somewhere/lib", os.getcwd()]


@pytest.mark.parametrize("command", [["ls"], ["train", "--version"]])
def test_the_module_runs_no_file_that_has_a_librarys_name(command: list[str], tmp_path: Path) -> None:
    for name in ("typer", "pydantic", "yaml", "rich", "psutil", "colorsys"):
        (tmp_path / f"{name}.py").write_text(f"print('RAN {name}')\n")
    result = subprocess.run(
        [sys.executable, "-m", "ftlab", *command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "RAN" not in result.stdout
    assert "Traceback" not in result.stderr
