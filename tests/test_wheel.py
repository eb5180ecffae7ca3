"""The wheel works where no checkout is: it brings conf/ along and runs a job from an empty folder."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.fixtures.checkpoints import tiny

ROOT = Path(__file__).resolve().parents[1]

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("wheel")]


@pytest.fixture(scope="module")
def binaries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a fresh environment: ftlab from its wheel, every dependency borrowed from this environment."""
    home = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(home / "dist"), str(ROOT)]
    _run(build, cwd=home)
    [wheel] = (home / "dist").glob("*.whl")
    venv.create(home / "venv", with_pip=False)
    python = home / "venv" / "bin" / "python"
    _run([sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "-q", str(wheel)], cwd=home)
    # A line in a .pth file adds the folder but does not read the .pth files in it, so the editable ftlab stays out.
    purelib = _run([str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], cwd=home).strip()
    Path(purelib, "borrowed.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    return python.parent


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """An empty working directory outside the repository."""
    assert not tmp_path.is_relative_to(ROOT)
    directory = tmp_path / "elsewhere"
    directory.mkdir()
    return directory


def _run(command: list[str], cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, f"{' '.join(command)} exited with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _texts(path: Path, rows: int) -> Path:
    lines = [f"{'good' if i % 2 else 'bad'} film number {i},{'pos' if i % 2 else 'neg'}" for i in range(rows)]
    path.write_text("\n".join(["text,label", *lines, ""]), encoding="utf-8")
    return path


def test_package_and_configuration_come_from_the_wheel(binaries: Path, elsewhere: Path) -> None:
    script = "import ftlab, pathlib; print(pathlib.Path(ftlab.__file__).resolve().parent)"
    package = Path(_run([str(binaries / "python"), "-c", script], cwd=elsewhere).strip())
    assert package.is_relative_to(binaries.parent.resolve())
    shipped = {path.relative_to(package / "conf") for path in (package / "conf").rglob("*.yaml")}
    ours = {path.relative_to(ROOT / "conf") for path in (ROOT / "conf").rglob("*.yaml")}
    assert Path("train.yaml") in ours
    assert shipped == ours


def test_launcher_is_found_beside_hydras_own_plugins(binaries: Path, elsewhere: Path) -> None:
    script = """
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
print(*sorted({plugin.__module__.split(".")[1] for plugin in Plugins.instance().discover(Launcher)}))
"""
    found = _run([str(binaries / "python"), "-c", script], cwd=elsewhere).split()
    assert "ftlab_launcher" in found


def test_help(binaries: Path, elsewhere: Path) -> None:
    assert "train" in _run([str(binaries / "ftlab"), "--help"], cwd=elsewhere)
    groups = _run([str(binaries / "ftlab"), "train", "--help"], cwd=elsewhere)
    assert "method" in groups
    assert "lora" in groups


def test_a_job_runs_from_an_empty_folder(binaries: Path, elsewhere: Path, tmp_path: Path) -> None:
    overrides = [
        "model=hf",
        f"model.name={tiny('bert')}",
        "dataset=text_files",
        f"dataset.source.train={_texts(tmp_path / 'train.csv', rows=60)}",
        "method=lora",
        "hardware=cpu",
        "tracker=none",
        "budget.steps=2",
    ]
    _run([str(binaries / "ftlab"), "train", *overrides], cwd=elsewhere)
    [path] = elsewhere.rglob("record.json")
    assert json.loads(path.read_text(encoding="utf-8"))["status"] == "completed"


def test_a_project_is_made_and_trains(binaries: Path, elsewhere: Path) -> None:
    _run([str(binaries / "ftlab"), "init", "my project"], cwd=elsewhere)
    project = elsewhere / "my project"
    template = ROOT / "src" / "ftlab" / "project_template"
    shipped = {path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()}
    ours = {path.relative_to(template).as_posix() for path in template.rglob("*") if path.is_file()}
    assert shipped == ours - {"gitignore"} | {".gitignore"}
    model = ["model=hf", f"model.name={tiny('bert')}", "hardware=cpu"]
    command = [str(binaries / "ftlab"), "train", "experiment=tickets", "budget.steps=2", "tracker=none", *model]
    _run(command, cwd=project)
    [path] = project.rglob("record.json")
    record = json.loads(path.read_text(encoding="utf-8"))
    assert (record["status"], record["method"]) == ("completed", "lora_small")


def test_versions(binaries: Path, elsewhere: Path) -> None:
    assert _run([str(binaries / "ftlab"), "--version"], cwd=elsewhere).startswith("ftlab ")
