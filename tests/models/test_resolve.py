import hashlib
import json
import time
from pathlib import Path
from typing import Any

import pytest
from httpx2 import Request, Response
from huggingface_hub import errors as hub

from ftlab.config.groups import ModelConfig
from ftlab.core.errors import UserError
from ftlab.models import resolve as resolve_module
from ftlab.models.resolve import resolve_model, resolve_without_weights
from tests.fixtures.checkpoints import tiny
from tests.tiny import save_tiny


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTLAB_CACHE", str(tmp_path / "cache"))


def refusal(name: str, **settings: str) -> str:
    with pytest.raises(UserError) as caught:
        resolve_model(ModelConfig(name=name, **settings))
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def test_unreachable_hub_fails_fast_and_says_what_works_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked once, and nothing waits for another try: from_pretrained would for 26 seconds."""
    asked: list[str] = []
    plain = resolve_module.snapshot_download

    def counting(name: str, **settings: Any) -> str:
        asked.append(name)
        return plain(name, **settings)

    monkeypatch.setattr(resolve_module, "snapshot_download", counting)
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail(f"it waits {seconds} s for another try"))
    sentence = refusal("bert", id="google-bert/bert-base-uncased")
    assert asked == ["google-bert/bert-base-uncased"]
    for part in ("google-bert/bert-base-uncased", "https://huggingface.co", "model=minilm", "model=smollm2-135m"):
        assert part in sentence


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (hub.GatedRepoError, ("https://huggingface.co/some/model", "HF_TOKEN", "gated")),
        (hub.RepositoryNotFoundError, ("https://huggingface.co/some/model", "HF_TOKEN", "model=minilm")),
        (hub.RevisionNotFoundError, ("revision v9", "https://huggingface.co/some/model/commits")),
    ],
)
def test_what_the_hub_refuses(error: type, expected: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Response(404, request=Request("GET", "https://huggingface.co/x"))

    def refuse(*args: object, **kwargs: object) -> str:
        raise error("no", response=answer)

    monkeypatch.setattr(resolve_module, "snapshot_download", refuse)
    sentence = refusal("some/model", revision="v9")
    assert [part for part in ("some/model", *expected) if part not in sentence] == []


def test_hub_model_is_known_by_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = tmp_path / "snapshots" / "abc123"
    snapshot.parent.mkdir()
    snapshot.symlink_to(tiny("bert"))
    monkeypatch.setattr(resolve_module, "snapshot_download", lambda *args, **kwargs: str(snapshot))
    found = resolve_model(ModelConfig(name="bert", id="some/model", note="seen"))
    assert found.folder == snapshot
    assert found.identity.pop("sha256") != ""
    assert found.identity == {"source": "hub", "id": "some/model", "revision": "abc123", "note": "seen"}


def test_a_hub_is_not_asked_for_weights_where_none_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = save_tiny("bert", tmp_path / "snapshots" / "abc123")
    (snapshot / "model.safetensors").unlink()
    asked: list[str] = []

    def fetch(*_: object, allow_patterns: list[str], **__: object) -> str:
        asked.extend(allow_patterns)
        return str(snapshot)

    monkeypatch.setattr(resolve_module, "snapshot_download", fetch)
    assert resolve_without_weights(ModelConfig(name="bert", id="some/model")) == snapshot
    assert "*.json" in asked
    assert not any("safetensors" in pattern for pattern in asked)


@pytest.mark.parametrize("name", ["./missing", "/missing", "~/missing", "a/b/c"])
def test_missing_directory(name: str) -> None:
    sentence = refusal(name)
    assert f"model.name={name}" in sentence
    assert "huggingface.co" not in sentence  # it was not asked for what can only be a folder


def test_name_that_is_no_id() -> None:
    assert "model.name='what is this?'" in refusal("what is this?")


def test_directory_without_config(tmp_path: Path) -> None:
    sentence = refusal(str(tmp_path))
    assert f"{tmp_path}" in sentence
    assert "config.json" in sentence
    assert "PEFT" not in sentence
    (tmp_path / "adapter_config.json").write_text("{}")
    assert "PEFT" in refusal(str(tmp_path))


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    sentence = refusal(str(tmp_path))
    assert "safetensors" in sentence
    assert "pytorch_model.bin" not in sentence
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80")
    sentence = refusal(str(tmp_path))
    assert "safetensors" in sentence
    assert "pytorch_model.bin" in sentence
    assert "pickle" in sentence


def test_identity_of_a_directory_follows_content_and_holds_no_path(tmp_path: Path) -> None:
    first, second = save_tiny("gpt2", tmp_path / "one" / "mine"), save_tiny("gpt2", tmp_path / "two" / "mine")
    one, two = (resolve_model(ModelConfig(name=str(folder))).identity for folder in (first, second))
    assert one == two
    assert str(tmp_path) not in json.dumps(one)
    other = resolve_model(ModelConfig(name=str(tiny("llama")))).identity
    assert other["sha256"] != one["sha256"]


def test_identity_of_shards_covers_all(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    shards = [tmp_path / f"model-0000{index}-of-00002.safetensors" for index in (1, 2)]
    for shard in shards:
        shard.write_bytes(b"x")
    before = resolve_model(ModelConfig(name=str(tmp_path))).identity["sha256"]
    shards[1].write_bytes(b"changed")
    assert resolve_model(ModelConfig(name=str(tmp_path))).identity["sha256"] != before


def _snapshot(root: Path) -> Path:
    """Put a tiny model into a hub's cache: links to blobs that are named by their hashes."""
    blobs, snapshot = root / "blobs", root / "snapshots" / "abc123"
    blobs.mkdir(parents=True, exist_ok=True)
    snapshot.mkdir(parents=True, exist_ok=True)
    for file in tiny("bert").iterdir():
        content = file.read_bytes()
        small = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        name = hashlib.sha256(content).hexdigest() if file.suffix == ".safetensors" else small
        (blobs / name).write_bytes(content)
        (snapshot / file.name).unlink(missing_ok=True)
        (snapshot / file.name).symlink_to(blobs / name)
    return snapshot


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
def test_a_damaged_blob_of_the_hub_is_fetched_again(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fetches: list[Path] = []

    def fetch(*_: object, **settings: Any) -> str:
        fetches.append(_snapshot(tmp_path) if not (snapshot / file).exists() else snapshot)
        return str(snapshot)

    snapshot = _snapshot(tmp_path)
    monkeypatch.setattr(resolve_module, "snapshot_download", fetch)
    whole = resolve_model(ModelConfig(name="bert", id="some/model")).identity
    assert not caplog.messages
    blob = (snapshot / file).resolve()
    content = bytearray(blob.read_bytes())
    content[-9] ^= 1
    blob.write_bytes(content)
    assert resolve_model(ModelConfig(name="bert", id="some/model")).identity == whole
    assert len(fetches) == 3
    (message,) = caplog.messages
    assert file in message
