"""A run's folder is data: it is read, and names no code that is run."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from ftlab.deploy.finished import read_run
from ftlab.errors import UserError
from tests.deploy.runs import finished

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that may be tampered with."""
    return Path(shutil.copytree(finished("bert", "text_files", "method=lora"), tmp_path / "run"))


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


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "subprocess.Popen",
        "mine.Mine",
        "ftlab.sweep.run_sweep",
        "ftlab.assets.build_once",
        "ftlab.methods.build",
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
    if place == "config__method___target_" and target == 7:
        sentence = "method._target_"
    else:
        sentence = "is neither a method of ftlab nor a configuration of PEFT: add --trust"
    with pytest.raises(UserError, match=sentence):
        read_run(run)


def test_a_target_hidden_in_a_list_is_refused(run: Path) -> None:
    change(run / "record.json", config__method__config__target_modules=[{"_target_": "os.getcwd"}])
    with pytest.raises(UserError, match=r"method\.config.target_modules.0\._target_=os\.getcwd"):
        read_run(run)


def test_code_of_the_model_needs_trust(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    change(run / "record.json", config__model__trust_remote_code=True)
    with pytest.raises(UserError, match=r"model\.trust_remote_code=true would run code"):
        read_run(run)
    assert read_run(run, trust=True).config.model.trust_remote_code


@pytest.mark.parametrize("file", ["record.json", "adapter/adapter_config.json"])
def test_a_module_that_peft_would_import_is_refused(file: str, run: Path) -> None:
    place = "config__method__config__megatron_core" if file == "record.json" else "megatron_core"
    change(run / file, **{place: "antigravity"})
    with pytest.raises(UserError, match="megatron_core=antigravity would import a module"):
        read_run(run)


def test_an_interpolation_is_refused(run: Path) -> None:
    change(run / "record.json", config__method__config__bias="${oc.env:HOME}")
    with pytest.raises(UserError, match=r"method.config.bias holds an interpolation"):
        read_run(run)


def test_weights_that_are_a_pickle_are_not_read(run: Path) -> None:
    (run / "adapter" / "adapter_model.safetensors").rename(run / "adapter" / "adapter_model.bin")
    with pytest.raises(UserError, match="holds no safetensors"):
        read_run(run)


def test_with_trust_a_method_of_ones_own_is_found_where_the_program_started(tmp_path: Path, run: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from ftlab.methods.selective import Full\nclass Mine(Full): pass\n", encoding="utf-8"
    )
    change(run / "record.json", config__method={"_target_": "mine.Mine", "name": "mine", "lr": 0.1})
    script = (
        "from pathlib import Path; from ftlab.deploy.finished import read_run; "
        f"print(read_run(Path({str(run)!r}), trust=True).method)"
    )
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "Mine()", done.stderr


@pytest.mark.parametrize("status", ["running", "failed", "oom"])
def test_a_run_that_did_not_complete_has_no_model(status: str, run: Path) -> None:
    change(run / "record.json", status=status)
    with pytest.raises(UserError, match=f"is {status}, not completed"):
        read_run(run)


def test_a_sweep_is_no_run(run: Path) -> None:
    with pytest.raises(UserError, match=r"is a sweep: give one of its runs, such as .*run"):
        read_run(run.parent)


def test_no_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not the folder of a run"):
        read_run(tmp_path / "none")


def test_other_base_weights_are_refused(run: Path, tmp_path: Path) -> None:
    """The adapter would fit, and every answer would be another one."""
    base = Path(read_run(run).config.model.reference)
    other = Path(shutil.copytree(base, tmp_path / "other"))
    weights = load_file(other / "model.safetensors")
    weights = {name: tensor + 1 for name, tensor in weights.items()}
    save_file(weights, other / "model.safetensors", metadata={"format": "pt"})
    change(run / "record.json", config__model__id=str(other))
    with pytest.raises(UserError, match=r"are not those that .* was trained on \(sha256 "):
        read_run(run).base()


def test_the_data_need_not_be_there(run: Path) -> None:
    change(run / "record.json", config__dataset__source={"_target_": "os.abort"})
    assert read_run(run).task.labels == ("money", "other")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["predict", "RUN"], "give either --text, as often as you like, or --file."),
        (["predict", "RUN", "--text", "a", "--file", "b"], "give either --text"),
        (["predict", "RUN", "--text", " "], "--text number 1 is empty"),
        (["predict", "RUN", "--file", "none.csv"], "none.csv does not exist"),
        (["predict", "RUN", "--text", "a", "--output", "a.xml"], "is of no kind that can be written"),
        (["predict", "nowhere", "--text", "a"], "is not the folder of a run"),
        (["export", "nowhere", "--to", "out"], "is not the folder of a run"),
        (["export", "RUN", "--to", "RUN"], "is there already"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(
    arguments: list[str], sentence: str, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ftlab.cli import app

    given = [str(run) if argument == "RUN" else argument for argument in arguments]
    monkeypatch.setattr(sys, "argv", ["ftlab", *given])
    monkeypatch.chdir(run.parent)
    with pytest.raises(SystemExit) as end:
        app.main()
    assert end.value.code == 2
    assert sentence in capsys.readouterr().err


def test_columns_are_those_that_the_run_detected(run: Path) -> None:
    assert json.loads((run / "record.json").read_text(encoding="utf-8"))["config"]["dataset"]["columns"]["text"] is None
    columns = {"text": "text", "label": "label", "text_pair": None, "slice": None}
    assert read_run(run).config.dataset.columns == columns
