"""`plan=true`: what each job of a sweep would take, tried for a few steps in a process of its own."""

import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ftlab.compare.formats import count, size
from ftlab.errors import ConfigError
from ftlab.launch.job import Executor, Job, Outcome
from ftlab.launch.settling import settled
from ftlab.record import Prediction
from ftlab.record.plans import write_plan
from ftlab.schema import RunConfig
from ftlab.sweep import JobsFailed, only_one, prepare, program, run_name, signals_as_interrupts

_FOLDER = ".plan"  # in the sweep's folder, while the jobs are tried: a cluster's nodes see it too


def planned(configs: list[RunConfig], directory: Path, executor: Executor) -> bool:
    """Plan the jobs where that is asked for, see `plan_sweep`; return whether they are to be run, too.

    Raises:
        ConfigError: some are to be planned and some are not, or one cannot be.
    """
    wanted = {config.plan for config in configs}
    if len(wanted) != 1:
        raise ConfigError("plan is the same for all jobs of a sweep: give it one value.")
    (plan,) = wanted
    if plan and any(config.budget.seconds is not None for config in configs):
        raise ConfigError(
            "plan predicts the time, and budget.seconds sets it: plan with budget.steps, or leave one out."
        )
    if plan and any(config.dataset.parts for config in configs):
        raise ConfigError("plan looks at one data set, and this is a mixture: plan with one of its parts.")
    training = [config for config in configs if config.method.lr is not None]  # a floor takes next to nothing
    if plan is True and not training:
        raise ConfigError("nothing trains in any of these jobs, so there is nothing to plan: leave plan out.")
    if plan and training:
        plan_sweep(training, directory, executor)
    return plan is not True


def plan_sweep(configs: list[RunConfig], directory: Path, executor: Executor) -> dict[str, Prediction]:
    """Predict memory and time of each job, print them, and keep them as plan.json in the sweep's folder.

    Nothing else stays. The runs of the same sweep find their prediction there, and record it.

    Args:
        configs: the experiments.
        directory: the sweep's folder.
        executor: runs the trials as it would run the jobs.

    Returns:
        Name of the run's folder -> what it would take.

    Raises:
        ConfigError: a model is to be shared out over devices.
        UserError: another sweep works in this folder.
        JobsFailed: not every job could be tried; the plan of the others is kept.
        Interrupted: after SIGINT, SIGTERM or SIGHUP.
    """
    if any(config.hardware.strategy == "fsdp" for config in configs):
        raise ConfigError(
            "plan tries each job on one device, and hardware.strategy=fsdp shares a model out over several: leave plan "
            "out, or use hardware.strategy=ddp."
        )
    console = Console(highlight=False)
    folder = directory / _FOLDER
    jobs = list({run_name(config): Job(_alone(config), folder / run_name(config)) for config in configs}.values())
    trials = _Trials(console, len(jobs))
    with only_one(directory), signals_as_interrupts():
        shutil.rmtree(folder, ignore_errors=True)
        try:
            for job in jobs:
                executor.check(job)
            for job in jobs:
                prepare(job)
            executor.run(jobs, trials.command, trials)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if trials.found:
            path = write_plan(directory, trials.found)
            console.print(_table(trials.found))
            console.print(_caption(trials.found), style="dim", soft_wrap=True)
            console.print(str(path), markup=False, soft_wrap=True)
    if len(trials.found) < len(jobs):
        raise JobsFailed(f"{len(jobs) - len(trials.found)} of {len(jobs)} jobs could not be planned: see above.")
    return trials.found


def _alone(config: RunConfig) -> RunConfig:
    """Return the part of one of the job's processes, which is all that is tried; nothing is tracked."""
    hardware = {"devices": 1, "num_nodes": 1, "strategy": "auto"}
    return config.model_copy(
        update={
            "plan": True,
            "hardware": config.hardware.model_copy(update=hardware),
            "optim": config.optim.model_copy(update={"batch_size": config.micro_batch_size * config.optim.accumulate}),
            "tracker": config.tracker.model_copy(update={"name": "none"}),
            "budget": config.budget.model_copy(update={"oom": "fail"}),
        }
    )


@dataclass
class _Trials:
    """The jobs on their way through the executor; the `Watcher` that it reports to."""

    console: Console
    total: int
    command: list[str] = field(default_factory=lambda: [*program(), *sys.argv[1:]])
    found: dict[str, Prediction] = field(default_factory=dict)
    begun: int = 0

    def started(self, job: Job) -> None:
        self.begun += 1
        self.console.print(
            f"[{self.begun}/{self.total}] planning {job.directory.name}", markup=False, soft_wrap=True, style="bold"
        )

    def tick(self) -> None:
        pass

    def ended(self, job: Job, outcome: Outcome) -> None:
        record = settled(job, outcome, self.command)
        if record.predicted is not None:
            self.found[job.directory.name] = record.predicted
        elif record.failure is not None:
            Console(stderr=True).print(
                f"error: {record.failure.message}", style="red", markup=False, highlight=False, soft_wrap=True
            )


def _table(found: dict[str, Prediction]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("job", overflow="fold")
    for heading in ("trains", "weights", "grad.", "optim.", "activ.", "process", "peak", "time"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, one in found.items():
        memory = one.memory_bytes
        parts = (memory.weights, memory.gradients, memory.optimizer, memory.activations, memory.baseline, memory.peak)
        table.add_row(name, count(one.trainable), *map(size, parts), f"{one.train_s:.0f} s")
    return table


def _caption(found: dict[str, Prediction]) -> str:
    steps = sorted({one.probe_steps for one in found.values()})
    return (
        f"Predicted from {steps[-1]} optimizer steps of each job: parameters that train; bytes of weights, gradients, "
        "optimizer state, activations of the longest micro-batch, and of what else the process holds before training; "
        "the peak, with temporary tensors, which is no sum; and training time, without set-up, validation and test."
    )
