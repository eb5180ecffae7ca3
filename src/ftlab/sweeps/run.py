"""Entry point of every sweep: the learning rate search if there is one, then the runs."""

from collections.abc import Callable
from pathlib import Path

from ftlab.comparison.tuning import tuning_from_trials
from ftlab.config.run_config import RunConfig
from ftlab.core.errors import ConfigError
from ftlab.launch.executor import Executor
from ftlab.record.parts import Progress
from ftlab.record.plans import copy_estimates
from ftlab.record.run_record import RunRecord
from ftlab.sweeps.declared import check_declared
from ftlab.sweeps.jobs import JobsFailed, run_name, run_sweep
from ftlab.sweeps.lr_search import search_group, trials_by_group, with_lr


def run_jobs(
    configs: list[RunConfig],
    directory: Path,
    executor: Callable[[], Executor],
    should_prune: Callable[[RunConfig, Progress], bool] | None = None,
    quiet: bool = False,
) -> list[RunRecord]:
    """Run all configurations; those with `search=lr` after a search for their learning rates. See `run_sweep`.

    Args:
        configs: the experiments.
        directory: the sweep's folder.
        executor: creates the executor that runs the jobs.
        should_prune: set by sweepers that prune, see `run_sweep`.
        quiet: see `run_sweep`.

    Raises:
        ConfigError: a method has no rates to try, two searches are set, or what the comparison is to decide is not
            possible; nothing was started.
        JobsFailed: the search of a method has no result, or unfinished trials; the other methods have run.
    """
    searching = [config for config in configs if config.search.name == "lr"]
    if searching and should_prune is not None:
        raise ConfigError("search=lr and a searching hydra/sweeper are two searches: remove one of them.")
    if not searching and should_prune is None and any(config.budget.trials for config in configs):
        raise ConfigError("budget.trials counts the trials of a search: add search=lr, or hydra/sweeper=optuna.")
    if len({config.search.rung for config in configs}) > 1:
        raise ConfigError("search.rung is no part of what a run is, so a sweep cannot have several: give it one value.")
    check_declared(configs, directory)
    trials = trials_by_group(searching, directory)
    all_trials = [trial for group_trials in trials.values() for trial in group_trials]
    if not all_trials:
        return run_sweep(configs, directory, executor(), should_prune, quiet)
    trial_records = iter(run_sweep(all_trials, directory, executor(), quiet=True))
    seeds = {search_group(config): config.seed for config in searching if config.search.per_seed}
    tunings = {
        group: tuning_from_trials([next(trial_records) for _ in group_trials], seeds.get(group))
        for group, group_trials in trials.items()
    }
    best_lrs = {
        group: tuning.lr for group, tuning in tunings.items() if not tuning.unfinished and tuning.lr is not None
    }
    group_of_each = [(config, search_group(config)) for config in configs]
    decided = [(config, group) for config, group in group_of_each if group in best_lrs or group not in trials]
    runnable = [config for config, _ in decided]
    runs = [with_lr(config, best_lrs.get(group, config.optim.lr)) for config, group in decided]
    # memory and time do not depend on the learning rate: a run takes the estimate made for its configuration
    estimated_as = {run_name(run): run_name(config) for run, config in zip(runs, runnable, strict=True)}
    copy_estimates(directory, estimated_as)
    records = run_sweep(runs, directory, executor(), quiet=quiet) if runs else []
    if len(runnable) < len(configs):
        undecided = " ".join(str(tuning) for group, tuning in tunings.items() if group not in best_lrs)
        raise JobsFailed(f"no learning rate was chosen: {undecided} The same command resumes open trials.", directory)
    return records
