"""A run's folder is data: it is read, and names no code that is run."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from ftlab.cli import app
from ftlab.core.errors import ConfigError, UserError
from ftlab.inference.finished_run import read_run
from tests.fixtures.checkpoints import tiny
from tests.fixtures.finished_runs import TRAINED, finished
from tests.fixtures.refusals import refused
from tests.fixtures.user_kinds import users_kinds

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that may be tampered with."""
    return Path(shutil.copytree(finished("bert", "text_files", "method=lora", *TRAINED), tmp_path / "run"))


def change(path: Path, **values: Any) -> None:
    """Set values in a JSON file, by dotted name."""
    whole = json.loads(path.read_text(encoding="utf-8"))
    for name, value in values.items():
        *above, last = name.split("__")
        place = whole
        for key in above:
            place = place[key]
        place[last] = value
    path.write_text(json.dumps(whole), encoding="utf-8")


def test_a_task_kind_that_is_not_ours_is_imported_with_trust_alone(run: Path, tmp_path: Path) -> None:
    kind = tmp_path / "kind_of_somebody.py"
    kind.write_text("open('was_here', 'w').close()\nKIND = None\n", encoding="utf-8")
    for kinds in ([str(kind)], ["kind_of_somebody"], "kind_of_somebody"):
        change(run / "record.json", config__kinds=kinds)
        with refused(UserError, "kinds=", "kind_of_somebody", "--trust"):
            read_run(run)
    assert "kind_of_somebody" not in sys.modules
    change(run / "record.json", config__kinds=[str(kind)])
    with pytest.MonkeyPatch.context() as patch, refused(ConfigError, "kind_of_somebody.py", "KIND"):
        patch.chdir(tmp_path)
        read_run(run, trust=True)
    assert (tmp_path / "was_here").exists()


def test_a_kind_that_is_typed_replaces_what_the_folder_names_and_trusts_nothing_else(run: Path, tmp_path: Path) -> None:
    kind = tmp_path / "other_kind_of_somebody.py"
    kind.write_text("open('was_here_too', 'w').close()\nKIND = None\n", encoding="utf-8")
    with users_kinds(tmp_path) as write_kind:
        write_kind("mine_u.py")
        change(run / "record.json", config__kinds=[str(kind)])
        assert read_run(run, kinds=["mine_u.py"]).config.kinds == []
        change(run / "record.json", config__method___target_="mine.Mine")
        with refused(UserError, "method._target_", "--trust"):
            read_run(run, kinds=["mine_u.py"])
    assert not (tmp_path / "was_here_too").exists()


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "subprocess.Popen",
        "mine.Mine",
        "ftlab.sweeps.jobs.run_sweep",
        "ftlab.core.downloads.build_once",
        "ftlab.methods.build_method",
        "ftlab.__main__.main",
        "peft.get_peft_model",
        "peft.import_utils.importlib.import_module",
        "peft.PeftModel",
        "peft.Nothing",
        7,
    ],
)
@pytest.mark.parametrize("place", ["config__method___target_", "config__method__config___target_"])
def test_a_target_that_is_no_method_of_ours_is_refused(target: object, place: str, run: Path) -> None:
    change(run / "record.json", **{place: target})
    setting = place.removeprefix("config__").replace("___target_", "._target_").replace("__", ".")
    no_text = target == 7 and setting == "method._target_"  # no configuration that could be read
    with refused(UserError, setting, *([] if no_text else [target, run, "--trust"])):
        read_run(run)


def test_a_target_hidden_in_a_list_is_refused(run: Path) -> None:
    change(run / "record.json", config__method__config__target_modules=[{"_target_": "os.getcwd"}])
    with refused(UserError, "method.config.target_modules.0._target_=os.getcwd", "--trust"):
        read_run(run)


def test_code_of_the_model_needs_trust(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    change(run / "record.json", config__model__trust_remote_code=True)
    with refused(UserError, "model.trust_remote_code=true", "--trust"):
        read_run(run)
    assert read_run(run, trust=True).config.model.trust_remote_code


@pytest.mark.parametrize("file", ["record.json", "adapter/adapter_config.json"])
def test_a_module_that_peft_would_import_is_refused(file: str, run: Path) -> None:
    place = "config__method__config__megatron_core" if file == "record.json" else "megatron_core"
    change(run / file, **{place: "antigravity"})
    with refused(UserError, "megatron_core=antigravity", "--trust"):
        read_run(run)


def test_an_interpolation_is_refused(run: Path) -> None:
    change(run / "record.json", config__method__config__bias="${oc.env:HOME}")
    with refused(UserError, "method.config.bias", "--trust"):
        read_run(run)


def test_weights_that_are_a_pickle_are_not_read(run: Path) -> None:
    (run / "adapter" / "adapter_model.safetensors").rename(run / "adapter" / "adapter_model.bin")
    with refused(UserError, run / "adapter", "safetensors"):
        read_run(run)


def test_with_trust_a_method_of_ones_own_is_found_where_the_program_started(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though Python itself would not look there, as under PYTHONSAFEPATH."""
    (tmp_path / "mine_alone.py").write_text(
        "from ftlab.methods.partial import Full\nclass Mine(Full): pass\n", encoding="utf-8"
    )
    change(run / "record.json", config__method={"_target_": "mine_alone.Mine", "name": "mine", "lr": 0.1})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place not in ("", str(tmp_path))])
    monkeypatch.setitem(sys.modules, "mine_alone", None)  # so that what is imported is taken back
    monkeypatch.delitem(sys.modules, "mine_alone")
    assert type(read_run(run, trust=True).method).__name__ == "Mine"


@pytest.mark.parametrize("status", ["running", "failed", "oom"])
def test_a_run_that_did_not_complete_has_no_model(status: str, run: Path) -> None:
    change(run / "record.json", status=status)
    with refused(UserError, run, status):
        read_run(run)


def test_a_sweep_is_no_run(run: Path) -> None:
    with refused(UserError, run.parent, run):
        read_run(run.parent)


def test_no_run_is_told(tmp_path: Path) -> None:
    with refused(UserError, tmp_path / "none"):
        read_run(tmp_path / "none")


def test_other_base_weights_are_refused(run: Path, tmp_path: Path) -> None:
    """The adapter would fit, and every answer would be another one."""
    base = Path(read_run(run).config.model.reference)
    other = Path(shutil.copytree(base, tmp_path / "other"))
    weights = load_file(other / "model.safetensors")
    weights = {name: tensor + 1 for name, tensor in weights.items()}
    save_file(weights, other / "model.safetensors", metadata={"format": "pt"})
    change(run / "record.json", config__model__id=str(other))
    with refused(UserError, "model=", run, "sha256"):
        read_run(run).load_base()


def test_the_data_need_not_be_there(run: Path) -> None:
    change(run / "record.json", config__dataset__source={"_target_": "os.abort"})
    assert read_run(run).task.labels == ("money", "other")


@pytest.mark.parametrize(
    ("arguments", "culprits"),
    [
        (["predict", "RUN"], ["--text", "--file"]),
        (["predict", "RUN", "--text", "a", "--file", "b"], ["--text", "--file"]),
        (["predict", "RUN", "--text", " "], ["--text", "1"]),
        (["predict", "RUN", "--file", "none.csv"], ["none.csv"]),
        (["predict", "RUN", "--text", "a", "--output", "a.xml"], ["--output", "a.xml"]),
        (["predict", "nowhere", "--text", "a"], ["nowhere"]),
        (["export", "nowhere", "--to", "out"], ["nowhere"]),
        (["export", "RUN", "--to", "RUN"], ["RUN"]),
    ],
)
def test_a_mistake_is_told_without_a_traceback(
    arguments: list[str],
    culprits: list[str],
    run: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def filled(words: list[str]) -> list[str]:
        return [str(run) if word == "RUN" else word for word in words]

    monkeypatch.setattr(sys, "argv", ["ftlab", *filled(arguments)])
    monkeypatch.chdir(run.parent)
    with pytest.raises(SystemExit) as end:
        app.main()
    assert end.value.code == 2
    (error,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert all(culprit in error for culprit in filled(culprits)), error


def test_columns_are_those_that_the_run_detected(run: Path) -> None:
    assert json.loads((run / "record.json").read_text(encoding="utf-8"))["config"]["dataset"]["columns"]["text"] is None
    columns = {"text": "text", "label": "label", "text_pair": None, "slice": None}
    assert read_run(run).config.dataset.columns == columns


@pytest.fixture
def project(run: Path, tmp_path: Path) -> Path:
    """A project with a run of `model.name=models/base`, whose sweep is elsewhere in it."""
    folder = tmp_path / "project"
    shutil.copytree(tiny("bert"), folder / "models" / "base")
    (folder / "scratch").mkdir()
    shutil.move(run, folder / "scratch" / "run")
    record = folder / "scratch" / "run" / "record.json"
    change(record, config__model__name="models/base", base_folder="../../models/base")
    return folder


@pytest.mark.parametrize("moved", [False, True])
def test_a_base_in_a_relative_folder_is_there_wherever_the_command_is_given(
    moved: bool, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if moved:
        project = Path(shutil.move(project, tmp_path / "elsewhere"))
    run = read_run(project / "scratch" / "run")
    assert Path(run.model_config.reference) == project / "models" / "base"
    assert run.load_base().identity["sha256"] == (run.record.base_model or {})["sha256"]


def test_a_run_of_before_finds_its_base_above_its_folder(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(project / "scratch" / "run" / "record.json", base_folder=None)
    monkeypatch.chdir(tmp_path)
    assert Path(read_run(project / "scratch" / "run").model_config.reference) == project / "models" / "base"
    monkeypatch.chdir(project)
    assert read_run(project / "scratch" / "run").model_config.reference == "models/base"


def test_another_folder_of_that_name_is_passed_over(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Path(shutil.copytree(tiny("gpt2"), tmp_path / "models" / "base"))
    monkeypatch.chdir(tmp_path)
    run = project / "scratch" / "run"
    assert Path(read_run(run).model_config.reference) == project / "models" / "base"
    (other / "model.safetensors").unlink()
    assert Path(read_run(run).model_config.reference) == project / "models" / "base"


def test_a_base_that_is_nowhere_is_not_asked_of_the_hub(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(project / "models")
    monkeypatch.chdir(tmp_path)
    with refused(UserError, "model=models/base", tmp_path / "models" / "base", project / "models" / "base"):
        _ = read_run(project / "scratch" / "run").task
