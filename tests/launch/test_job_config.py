"""The configuration of a job reaches it whole, and its file has no secrets."""

import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from ftlab.config import secrets
from ftlab.config.fingerprint import config_hash
from ftlab.config.run_config import RunConfig, validate
from ftlab.launch.job_config import read_job_config, remove_secrets, write_job_config
from ftlab.record.folder import CONFIG, SECRETS
from ftlab.train.recorder import failure_of, new_record
from tests.fixtures.compose import composed


def with_source(**source: Any) -> RunConfig:
    values = composed().model_dump(mode="json", by_alias=True)
    values["dataset"]["source"] = {"_target_": "mine.load", **source}
    return validate(values)


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_REMEMBERED", set())


def test_only_the_job_sees_secrets(tmp_path: Path) -> None:
    config = with_source(token="hf_abcdef", urls=["ftp://me:pw12345@host/x"], num_tokens=3)
    write_job_config(tmp_path, config)
    text = (tmp_path / CONFIG).read_text()
    assert "hf_abcdef" not in text
    assert "pw12345" not in text
    assert yaml.safe_load(text)["dataset"]["source"]["num_tokens"] == 3
    assert stat.S_IMODE((tmp_path / SECRETS).stat().st_mode) == 0o600
    assert read_job_config(tmp_path) == config
    remove_secrets(tmp_path)
    assert read_job_config(tmp_path).dataset.source["token"] == "***"


def test_without_secrets_there_is_one_file(tmp_path: Path) -> None:
    write_job_config(tmp_path, with_source(token="hf_abcdef"))
    write_job_config(tmp_path, composed())
    assert [path.name for path in tmp_path.iterdir()] == [CONFIG]
    assert read_job_config(tmp_path) == composed()


def test_a_record_has_none(tmp_path: Path) -> None:
    config = with_source(token="hf_abcdef", url="ftp://me:pw12345@host/x")
    write_job_config(tmp_path, config)
    read_job_config(tmp_path)
    text = new_record(config, tmp_path, []).model_dump_json()
    text += failure_of(RuntimeError("refused hf_abcdef at ftp://me:pw12345@host/x"), None).model_dump_json()
    assert "hf_abcdef" not in text
    assert "pw12345" not in text


def test_another_token_is_no_other_run() -> None:
    one, other = (with_source(token=token, rows=5) for token in ("hf_abcdef", "hf_ghijkl"))
    assert config_hash(one) == config_hash(other) != config_hash(with_source(token="hf_abcdef", rows=6))
