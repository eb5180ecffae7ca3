"""Runs that an earlier command left waiting."""

from pathlib import Path

import pytest

from ftlab.launch.executor import Job
from ftlab.launch.job_config import write_job_config
from ftlab.record.folder import SECRETS
from ftlab.sweeps.jobs import run_name, run_sweep
from ftlab.sweeps.waiting import remove_waiting
from tests.fixtures.compose import composed
from tests.launch.queueing import Scripted


def waiting(sweep: Path, *names: str) -> None:
    for name in names:
        (sweep / name).mkdir()
        write_job_config(sweep / name, composed())


def test_only_what_was_never_started_and_is_not_asked_for_goes(tmp_path: Path) -> None:
    asked, left, with_secrets, started, queued, logged = (f"full-s0-{number:08x}" for number in range(6))
    waiting(tmp_path, asked, left, with_secrets, started, queued, logged)
    (tmp_path / with_secrets / SECRETS).touch()
    (tmp_path / started / "record.json").touch()
    (tmp_path / queued / "slurm.json").touch()
    (tmp_path / logged / "logs").mkdir()
    (tmp_path / "no-run").mkdir()
    removed = remove_waiting([Job(composed(), tmp_path / asked, [])])
    assert removed == [left, with_secrets]
    assert {path.name for path in tmp_path.iterdir()} == {asked, started, queued, logged, "no-run"}


def test_a_folder_that_is_no_run_stays(tmp_path: Path) -> None:
    """As of a project with `conf/config.yaml`, where sweep.dir is the folder of the project."""
    waiting(tmp_path, "conf")
    asked = run_name(composed())
    assert remove_waiting([Job(composed(), tmp_path / asked, [])]) == []
    assert (tmp_path / "conf" / "config.yaml").exists()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (sweep := tmp_path / "sweep").mkdir()
    waiting(tmp_path, "other")
    (sweep / "full-s0-01234567").symlink_to(tmp_path / "other")
    assert remove_waiting([Job(composed(), sweep / "asked", [])]) == []
    assert (tmp_path / "other" / "config.yaml").exists()
    waiting(sweep, "lora-s0-01234567")
    (sweep / "lora-s0-76543210").symlink_to("lora-s0-01234567")
    assert remove_waiting([Job(composed(), sweep / "asked", [])]) == ["lora-s0-01234567"]  # the link leads nowhere now


@pytest.mark.parametrize("retry_all", [False, True])
def test_an_axis_that_was_narrowed_leaves_nothing_waiting(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], retry_all: bool
) -> None:
    configs = [composed("method=full", f"sweep.dir={tmp_path}", "tracker=none", f"seed={seed}") for seed in (0, 1)]
    narrowed_away = run_name(configs[1])
    waiting(tmp_path, narrowed_away)
    run_sweep(configs[:1], tmp_path, Scripted(), retry_all=retry_all)
    # a rerun of one run says nothing of the others
    assert (tmp_path / narrowed_away).exists() is retry_all
    assert (f"{narrowed_away}: never started" in capsys.readouterr().out) is not retry_all
