import json
import time
from pathlib import Path

import pytest
from httpx2 import Request, Response
from huggingface_hub import errors as hub

from ftlab.errors import UserError
from ftlab.groups import ModelConfig
from ftlab.models import source
from ftlab.models.source import resolve, without_weights
from tests.tiny import save_tiny


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTLAB_CACHE", str(tmp_path / "cache"))


def refusal(name: str, **settings: str) -> str:
    with pytest.raises(UserError) as caught:
        resolve(ModelConfig(name=name, **settings))
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def test_unreachable_hub_fails_fast_and_says_what_works_offline() -> None:
    start = time.monotonic()
    sentence = refusal("bert", id="google-bert/bert-base-uncased")
    assert time.monotonic() - start < 5
    for part in ("google-bert/bert-base-uncased", "no such directory", "huggingface.co", "minilm", "smollm2-135m"):
        assert part in sentence


@pytest.mark.parametrize(
    ("error", "expected"),
    [(hub.GatedRepoError, "gated"), (hub.RepositoryNotFoundError, "spelling"), (hub.RevisionNotFoundError, "revision")],
)
def test_what_the_hub_refuses(error: type, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Response(404, request=Request("GET", "https://huggingface.co/x"))

    def refuse(*args: object, **kwargs: object) -> str:
        raise error("no", response=answer)

    monkeypatch.setattr(source, "snapshot_download", refuse)
    assert expected in refusal("some/model", revision="v9")


def test_hub_model_is_known_by_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = save_tiny("bert", tmp_path / "snapshots" / "abc123")
    monkeypatch.setattr(source, "snapshot_download", lambda *args, **kwargs: str(snapshot))
    found = resolve(ModelConfig(name="bert", id="some/model", note="seen"))
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

    monkeypatch.setattr(source, "snapshot_download", fetch)
    assert without_weights(ModelConfig(name="bert", id="some/model")) == snapshot
    assert "*.json" in asked
    assert not any("safetensors" in pattern for pattern in asked)


@pytest.mark.parametrize("name", ["./missing", "/missing", "~/missing", "a/b/c"])
def test_missing_directory(name: str) -> None:
    assert "is not a directory" in refusal(name)


def test_name_that_is_no_id() -> None:
    assert "neither a directory nor a hub id" in refusal("what is this?")


def test_directory_without_config(tmp_path: Path) -> None:
    assert "it has no config.json." in refusal(str(tmp_path))
    (tmp_path / "adapter_config.json").write_text("{}")
    assert "PEFT adapter: give its base model" in refusal(str(tmp_path))


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    assert "no weights in safetensors (none)" in refusal(str(tmp_path))
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80")
    assert "only pytorch_model.bin, and loading a pickle can run code" in refusal(str(tmp_path))


def test_identity_of_a_directory_follows_content_and_holds_no_path(tmp_path: Path) -> None:
    first, second = save_tiny("gpt2", tmp_path / "one" / "mine"), save_tiny("gpt2", tmp_path / "two" / "mine")
    one, two = (resolve(ModelConfig(name=str(folder))).identity for folder in (first, second))
    assert one == two
    assert str(tmp_path) not in json.dumps(one)
    other = resolve(ModelConfig(name=str(save_tiny("llama", tmp_path / "three" / "mine")))).identity
    assert other["sha256"] != one["sha256"]


def test_identity_of_shards_covers_all(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    shards = [tmp_path / f"model-0000{index}-of-00002.safetensors" for index in (1, 2)]
    for shard in shards:
        shard.write_bytes(b"x")
    before = resolve(ModelConfig(name=str(tmp_path))).identity["sha256"]
    shards[1].write_bytes(b"changed")
    assert resolve(ModelConfig(name=str(tmp_path))).identity["sha256"] != before
