"""A torn record blocks no sweep, and no file of a run has a secret."""

import sys
from pathlib import Path

import pytest

from ftlab.config.run_config import validate
from ftlab.core.errors import UserError
from ftlab.sweeps.jobs import run_name, run_sweep
from ftlab.train.recorder import new_record
from tests.fixtures.compose import composed
from tests.fixtures.refusals import refused
from tests.fixtures.statements import states
from tests.launch.queueing import Scripted


@pytest.mark.parametrize("content", [b"", b'{"schema_version": 1, "ru', b"\0" * 100])
def test_a_torn_record_blocks_nothing(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configs = [composed("method=full", f"sweep.dir={tmp_path}", "tracker=none", f"seed={seed}") for seed in (0, 1)]
    folders = [tmp_path / run_name(config) for config in configs]
    new_record(configs[0], folders[0], []).model_copy(update={"status": "completed"}).write(folders[0])
    (folders[0] / "record.json").write_bytes(content)
    records = run_sweep(configs, tmp_path, Scripted())
    assert [record.failure and record.failure.type for record in records] == ["NoRecord"] * 2, "both were run"
    assert (folders[0] / "record.json.damaged").read_bytes() == content
    states(capsys.readouterr().out.replace("\n", " "), folders[0].name, "record.json.damaged")


def test_a_record_of_a_later_version_is_not_run_over(tmp_path: Path) -> None:
    config = composed("method=full", f"sweep.dir={tmp_path}", "tracker=none")
    folder = tmp_path / run_name(config)
    folder.mkdir()
    (folder / "record.json").write_text('{"schema_version": 2}')
    with refused(UserError, folder / "record.json", "version 2"):
        run_sweep([config], tmp_path, Scripted())
    assert (folder / "record.json").read_text() == '{"schema_version": 2}'


def test_secrets_are_gone_when_a_job_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = composed("method=full", f"sweep.dir={tmp_path}", "tracker=none").model_dump(mode="json", by_alias=True)
    values["dataset"]["source"] = {"_target_": "mine.load", "token": "hf_abcdef"}
    monkeypatch.setattr(sys, "argv", ["ftlab", "train", "+dataset.source.token=hf_abcdef"])
    run_sweep([validate(values)], tmp_path, Scripted())
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert not [path for path in files if b"hf_abcdef" in path.read_bytes()]
