"""Sweepers of other authors on ftlab's launcher: they are given the value to optimise."""

import importlib
from pathlib import Path

import pytest
from hydra.core.plugins import Plugins

from ftlab.cli import training
from ftlab.record import find_records
from tests.launch.sweeping import Bench, bench

__all__ = ["bench"]

SWEEPER = '''
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper

ConfigStore.instance().store(
    group="hydra/sweeper", name="two", node={"_target_": "hydra_plugins.two.Two"}, provider="two"
)


class Two(Sweeper):
    """Tries two rates, a launch each, and keeps the better one."""

    def setup(self, *, hydra_context, task_function, config):
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments):
        values = {}
        for number, rate in enumerate(("1e-3", "1e-12")):
            (done,) = self.launcher.launch([[*arguments, f"optim.lr={rate}"]], initial_job_idx=number)
            values[rate] = done.return_value
        print("VALUES", *values.values(), "BEST", min(values, key=values.get))
'''


@pytest.mark.slow
@pytest.mark.xdist_group("commands")
def test_sweepers_of_others_are_given_the_value_to_optimise(
    bench: Bench,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "hydra_plugins" / "two").mkdir(parents=True)
    (tmp_path / "hydra_plugins" / "two" / "__init__.py").write_text(SWEEPER, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    Plugins.instance().register(importlib.import_module("hydra_plugins.two").Two)  # as Hydra would when it starts
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # the command line sets it: put back what was there
    name = "sweep.dir=two-${now:%S-%f}"  # resolved once, however often the sweeper launches
    training.train(["-m", "hydra/sweeper=two", *bench.settings, "method=full", "budget.steps=40", name])
    (folder,) = tmp_path.glob("two-*")
    records = {record.config["optim"]["lr"]: record for _, record in find_records(folder)}
    first, second = (records[rate].metrics["classification"]["val"]["loss"].value for rate in (1e-3, 1e-12))
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("VALUES"))
    assert line == f"VALUES {first} {second} BEST 1e-3"
