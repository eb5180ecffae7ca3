"""Results of jobs as Hydra is told them: a pruned one is complete, with the value it had by then."""

from pathlib import Path

import pytest
from hydra.core.utils import JobStatus
from omegaconf import OmegaConf

from ftlab.cli import training
from ftlab.config import compose
from ftlab.record import Progress, Status
from ftlab.sweeps import run
from ftlab.sweeps.jobs import JobsFailed
from ftlab.train.recorder import new_record
from hydra_plugins.ftlab_launcher import LocalLauncher
from tests.fixtures.compose import composed

ENDS: list[tuple[Status, bool]] = [("completed", False), ("pruned", False), ("failed", True), ("interrupted", True)]


@pytest.fixture
def ends_as(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    progress = Progress(step=12, steps=40, loss=None, best=0.25)
    update = {"status": request.param, "progress": progress}
    record = new_record(composed(), Path("run"), []).model_copy(update=update)
    monkeypatch.setattr(run, "run_jobs", lambda *_: [record])
    monkeypatch.setattr(compose, "compose_job", lambda *_: None)
    monkeypatch.setattr(compose, "resolve", lambda _: composed())


@pytest.mark.usefixtures("ends_as")
@pytest.mark.parametrize(("ends_as", "fails"), ENDS, indirect=["ends_as"])
def test_a_sweep_returns_what_its_sweeper_needs(fails: bool) -> None:
    launcher = LocalLauncher()
    launcher._loader, launcher._config = None, OmegaConf.create({"hydra": {"overrides": {"task": ["method=full"]}}})
    (returned,) = launcher.launch([["method=full"]], initial_job_idx=0)
    assert returned.status is (JobStatus.FAILED if fails else JobStatus.COMPLETED)
    if fails:
        with pytest.raises(JobsFailed):
            returned.return_value  # noqa: B018
    else:
        assert returned.return_value == 0.25


@pytest.mark.usefixtures("ends_as")
@pytest.mark.parametrize(("ends_as", "fails"), ENDS, indirect=["ends_as"])
def test_a_single_run_fails_the_command_unless_it_was_pruned(fails: bool) -> None:
    if fails:
        with pytest.raises(JobsFailed):
            training._run_single(composed())
    else:
        training._run_single(composed())
