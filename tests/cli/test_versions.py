"""`--version` of both commands: ftlab's, and those of the libraries, at once."""

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from ftlab import __version__
from ftlab.cli import versions
from tests.cli.test_training import ROOT, process


@pytest.mark.parametrize("command", [["-m", "ftlab"], [str(ROOT / "train.py")], ["-m", "ftlab", "train"]])
def test_the_versions_are_those_of_ftlab_and_its_libraries(command: list[str], tmp_path: Path) -> None:
    done = process(*command, "--version", cwd=tmp_path)
    first, second = done.stdout.splitlines()
    assert (first, done.returncode, done.stderr) == (f"ftlab {__version__}", 0, "")
    assert [words.split()[0] for words in second.split(", ")] == ["torch", "transformers", "peft", "lightning"]


def test_no_library_is_imported_for_it(tmp_path: Path) -> None:
    script = "import sys; from ftlab.cli.app import app; app(['--version'], standalone_mode=False); print(*sys.modules)"
    printed = process("-c", script, cwd=tmp_path).stdout
    modules = printed.split()
    assert "ftlab.cli.versions" in modules
    assert not {"torch", "transformers", "peft", "lightning"} & set(modules[modules.index("ftlab.cli.versions") :])


def test_a_library_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def version(name: str) -> str:
        if name == "peft":
            raise PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(versions, "version", version)
    versions.print_versions()
    assert "peft is not installed" in capsys.readouterr().out


def test_a_command_is_still_needed(tmp_path: Path) -> None:
    assert process("-m", "ftlab", cwd=tmp_path).returncode == 2
