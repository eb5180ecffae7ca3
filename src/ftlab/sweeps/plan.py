"""Cost estimates for the jobs of a sweep (`plan=true`), from a few steps of each in its own process."""

import shutil
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.text import Text

from ftlab.comparison.folder_table import FolderColumn, print_folders
from ftlab.comparison.formats import format_count, format_duration, format_size, printable
from ftlab.config.run_config import RunConfig
from ftlab.core.errors import ConfigError
from ftlab.core.terminal import Terminal
from ftlab.launch.executor import Ended, Event, Executor, Job, Started
from ftlab.launch.finalize import finalized
from ftlab.record import CostEstimate, RunRecord
from ftlab.record.plans import PLAN_FILE, write_plan
from ftlab.sweeps.command_line import command_line
from ftlab.sweeps.interrupts import signals_as_interrupts
from ftlab.sweeps.jobs import JobsFailed, prepare_run_dir, run_name, sweep_lock
from ftlab.sweeps.lr_search import trials_by_group

_FOLDER = ".plan"  # in the sweep's folder, which the nodes of a cluster can read, while the jobs are profiled


def plan_if_requested(configs: list[RunConfig], directory: Path, executor: Executor) -> bool:
    """Estimate the costs of the jobs if `plan` asks for it.

    Returns:
        Whether to run the jobs afterwards.

    Raises:
        ConfigError: `plan` differs between the jobs, or the cost of one cannot be estimated; see also `estimate_costs`.
    """
    plans = {config.plan for config in configs}
    if len(plans) != 1:
        raise ConfigError("plan must be the same for all jobs of a sweep: give it one value.")
    (plan,) = plans
    if plan and any(config.budget.seconds is not None for config in configs):
        raise ConfigError(
            "plan estimates the time, but budget.seconds sets it: use budget.steps, or remove one of them."
        )
    if plan and any(config.dataset.parts for config in configs):
        raise ConfigError("plan supports a single data set, and this is a mixture: plan with one of its parts.")
    training = [config for config in configs if config.method.lr is not None]  # others cost next to nothing
    if plan is True and not training:
        raise ConfigError("none of these jobs trains, so there is nothing to plan: remove plan.")
    if plan and training:
        estimate_costs(training, directory, executor)
    return plan is not True


def estimate_costs(configs: list[RunConfig], directory: Path, executor: Executor) -> dict[str, CostEstimate]:
    """Estimate memory and time of each job, print the estimates, and write them to plan.json in the sweep's folder.

    All other files are removed. Runs of the same sweep copy their estimate from plan.json to their record.

    Args:
        configs: the experiments.
        directory: the sweep's folder.
        executor: runs the profiling jobs.

    Returns:
        Name of the run's folder -> its estimate.

    Raises:
        ConfigError: a model is sharded over several devices.
        UserError: another sweep is running in this folder.
        JobsFailed: some jobs could not be profiled; the estimates of the others are kept.
        Interrupted: after SIGINT, SIGTERM or SIGHUP.
    """
    if any(config.hardware.strategy == "fsdp" for config in configs):
        raise ConfigError(
            "plan profiles each job on one device, and hardware.strategy=fsdp shards the model over several: remove "
            "plan, or use hardware.strategy=ddp."
        )
    console = Terminal(highlight=False)
    folder = directory / _FOLDER
    by_cost: dict[str, list[RunConfig]] = defaultdict(list)
    for config in configs:
        by_cost[_what_costs(config)].append(config)
    groups = {
        run_name(equal[0]): _EqualJobs(equal, sum(map(len, trials_by_group(equal, directory).values())))
        for equal in by_cost.values()
    }
    jobs = [Job(_profiling_config(group.configs[0]), folder / name, command_line()) for name, group in groups.items()]
    profiling = _ProfilingJobs(console, len(jobs))
    with sweep_lock(directory), signals_as_interrupts():
        shutil.rmtree(folder, ignore_errors=True)
        try:
            for job in jobs:
                executor.check(job)
            for job in jobs:
                prepare_run_dir(job)
            executor.run(jobs, profiling.handle)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        planned = {name: (estimate, groups[name]) for name, estimate in profiling.estimates.items()}
        estimates = {run_name(config): estimate for estimate, equal in planned.values() for config in equal.configs}
        if estimates:
            path = write_plan(directory, estimates)
            print_folders(_columns(planned), console, remedy=f"{PLAN_FILE} has all, in bytes")
            console.print(_total(planned.values()), soft_wrap=True)
            console.print(_caption(profiling.estimates), style="dim", soft_wrap=True)
            console.print(str(path), markup=False, soft_wrap=True)
    if len(profiling.estimates) < len(jobs):
        missing = len(jobs) - len(profiling.estimates)
        raise JobsFailed(f"{missing} of {len(jobs)} jobs could not be planned: see above.", directory)
    return estimates


def _what_costs(config: RunConfig) -> str:
    """Return a text that is equal for configurations whose steps take the same time and memory."""
    groups = dict.fromkeys(("seed", "search", "sweep", "tracker"), True)
    optim = {"lr", "weight_decay", "betas", "eps", "schedule", "warmup"}  # not momentum: sgd without it has no state
    return config.model_dump_json(exclude={**groups, "optim": optim})


def _profiling_config(config: RunConfig) -> RunConfig:
    """Return the configuration of a profiling job: the share of one process, on one device, without a tracker."""
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


@dataclass(frozen=True)
class _EqualJobs:
    """Jobs of equal cost.

    Attributes:
        configs: of the runs.
        num_trials: trials of the search that comes before them.
    """

    configs: list[RunConfig]
    num_trials: int


@dataclass
class _ProfilingJobs:
    """Profiling jobs while the executor runs them."""

    console: Console
    total: int
    estimates: dict[str, CostEstimate] = field(default_factory=dict)
    num_started: int = 0

    def handle(self, event: Event) -> None:
        match event:
            case Started(handle):
                self._started(handle.job)
            case Ended(handle, outcome):
                self._ended(handle.job, finalized(handle.job, outcome))

    def _started(self, job: Job) -> None:
        self.num_started += 1
        self.console.print(
            f"[{self.num_started}/{self.total}] planning {job.directory.name}",
            markup=False,
            soft_wrap=True,
            style="bold",
        )

    def _ended(self, job: Job, record: RunRecord) -> None:
        if record.predicted is not None:
            self.estimates[job.directory.name] = record.predicted
        elif record.failure is not None:
            Terminal(stderr=True).print(
                f"error: {record.failure.message}", style="red", markup=False, highlight=False, soft_wrap=True
            )


def _columns(planned: Mapping[str, tuple[CostEstimate, _EqualJobs]]) -> list[FolderColumn]:
    headings = ("jobs", "trains", "weights", "grad.", "optim.", "activ.", "process", "peak", "train", "test")
    importance = (7, 6, 5, 3, 2, 4, 1, 9, 10, 8)
    rows = []
    for estimate, equal in planned.values():
        memory = estimate.memory_bytes
        sizes = (memory.weights, memory.gradients, memory.optimizer, memory.activations, memory.baseline, memory.peak)
        times = (format_duration(estimate.train_s), format_duration(estimate.evaluation_s))
        rows.append((str(len(equal.configs)), format_count(estimate.trainable), *map(format_size, sizes), *times))
    columns = zip(headings, importance, zip(*rows, strict=True), strict=True)
    return [
        FolderColumn("job", [Text(printable(name)) for name in planned]),
        *(FolderColumn(name, [Text(cell) for cell in cells], rank, right=True) for name, rank, cells in columns),
    ]


def _total(planned: Collection[tuple[CostEstimate, _EqualJobs]]) -> str:
    """Return a sentence with the time of all jobs together, trials of a search included."""
    num_runs = sum(len(equal.configs) for _, equal in planned)
    num_trials = sum(equal.num_trials for _, equal in planned)
    seconds = sum(
        len(equal.configs) * estimate.total_s() + equal.num_trials * estimate.total_s(with_test=False)
        for estimate, equal in planned
    )
    jobs = f"{num_runs} {'run' if num_runs == 1 else 'runs'}" + (f" and {num_trials} trials" if num_trials else "")
    return f"Total: {format_duration(seconds)} for {jobs}, one after the other, with set-up, validation and test."


def _caption(estimates: dict[str, CostEstimate]) -> str:
    steps = sorted({estimate.probe_steps for estimate in estimates.values()})
    return (
        f"Estimated from {steps[-1]} optimizer steps and some batches of validation, once for jobs that differ only in "
        "seed or learning rate and the like: number of such jobs; trainable parameters; bytes of weights, gradients, "
        "optimizer state, activations of the longest micro-batch, and everything else in the process before training; "
        "peak memory, with temporary tensors, which is not the sum; time of training; time of validation and test, "
        "with perturbed rows, and generated texts at their largest length."
    )
