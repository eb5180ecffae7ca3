"""Records of runs in outputs/sweep, made without running anything, and the jobs that reruns of them would start."""

import json
from pathlib import Path
from typing import Any

from ftlab.launch.executor import Handle, Job
from ftlab.record import FILE_NAME
from ftlab.sweeps.jobs import run_name
from ftlab.sweeps.rerun import prepare_rerun, run_again
from ftlab.train.recorder import new_record
from tests.fixtures.compose import composed
from tests.launch.queueing import Scripted


class Submitted(Scripted):
    """Runs nothing, and remembers the jobs."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: list[Job] = []

    def submit(self, job: Job) -> Handle:
        self.jobs.append(job)
        return super().submit(job)


def put_run(status: str, *overrides: str, **changes: Any) -> Path:
    """Write the record of a run with this status into outputs/sweep; return its folder."""
    config = composed("method=lora", "tracker=none", "sweep.dir=outputs/sweep", *overrides)
    folder = Path(config.sweep.dir) / run_name(config)
    record = new_record(config, folder, ["train.py"]).model_copy(update={"status": status, **changes})
    record.write(folder)
    return folder


def change_config(folder: Path, key: str, value: object) -> None:
    record = json.loads((folder / FILE_NAME).read_text())
    place = record["config"]
    *parents, last = key.split("/")
    for parent in parents:
        place = place[parent]
    place[last] = value
    (folder / FILE_NAME).write_text(json.dumps(record))


def started(run: Path, *overrides: str, trust: bool = False) -> Job | None:
    """Return the job that a rerun starts; None: it starts none."""
    executor = Submitted()
    run_again(prepare_rerun(run, overrides, trust=trust), executor)
    return executor.jobs[0] if executor.jobs else None
