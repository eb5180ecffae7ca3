"""`search=lr`: each method tries as many learning rates of its own, and runs with the one that validation liked best.

Two sweeps in one folder. First the trials, with the first seed, which never see the test split; then, with the best
rate of each method, all the runs that were asked for. What is complete is not run again, so that the same command goes
on wherever it was stopped. A trial that diverges has failed, and the search goes on.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from ftlab import sweep
from ftlab.compare.tuning import tuning
from ftlab.errors import ConfigError
from ftlab.fingerprint import config_hash
from ftlab.launch.job import Executor
from ftlab.record import Progress, RunRecord
from ftlab.record.plans import share_plan
from ftlab.schema import RunConfig
from ftlab.search.space import SHORT, Choices, Range, read_space

_DIGITS = 3  # of a rate between two others


def run_jobs(
    configs: list[RunConfig],
    directory: Path,
    executor: Callable[[], Executor],
    hopeless: Callable[[RunConfig, Progress], bool] | None = None,
    quiet: bool = False,
) -> list[RunRecord]:
    """Run what was asked for, after the search for learning rates where one is wanted; see `run_sweep`.

    Args:
        configs: the experiments.
        directory: the sweep's folder.
        executor: makes what runs the jobs.
        hopeless: of a sweeper that prunes, see `run_sweep`.
        quiet: see `run_sweep`.

    Raises:
        ConfigError: a method has no rates to try, or two searches are wanted at once; nothing was started.
        JobsFailed: the search of a method has no value, or trials that can be gone on with; the others have run.
    """
    searching = [config for config in configs if config.search.name == "lr"]
    if searching and hopeless is not None:
        raise ConfigError("search=lr and a searching hydra/sweeper are two searches: leave one of them out.")
    if not searching and hopeless is None and any(config.budget.trials for config in configs):
        raise ConfigError("budget.trials counts the trials of a search: add search=lr, or hydra/sweeper=optuna.")
    groups: dict[str, list[RunConfig]] = defaultdict(list)
    for config in searching:
        if config.method.lr is not None:  # what never trains simply runs
            groups[_family(config)].append(config)
    trials = {family: _trials(members) for family, members in groups.items()}
    flat = [trial for family in trials.values() for trial in family]
    if not flat:
        return sweep.run_sweep(configs, directory, executor(), hopeless, quiet)
    tried = iter(sweep.run_sweep(flat, directory, executor(), quiet=True))
    found = {family: tuning([next(tried) for _ in members]) for family, members in trials.items()}
    rates = {family: one.lr for family, one in found.items() if not one.open and one.lr is not None}
    wanted = [config for config in configs if _family(config) in rates or _family(config) not in groups]
    runs = [_at(config, rates.get(_family(config), config.optim.lr)) for config in wanted]
    # neither memory nor time depends on the rate
    planned = {sweep.run_name(run): sweep.run_name(config) for run, config in zip(runs, wanted, strict=True)}
    share_plan(directory, planned)
    records = sweep.run_sweep(runs, directory, executor(), quiet=quiet) if runs else []
    if len(wanted) < len(configs):
        unfit = " ".join(str(one) for family, one in found.items() if family not in rates)
        raise sweep.JobsFailed(f"no learning rate was chosen: {unfit} The same command goes on with open trials.")
    return records


def rates(config: RunConfig) -> list[float]:
    """Return the learning rates that a configuration's method tries, the lowest first.

    They are those of its `search` where these are as many as wanted; else so many between its lowest and its highest
    one, each the same multiple of the one before.

    Raises:
        ConfigError: the method names none.
    """
    wanted = config.budget.trials or config.search.trials
    of = f"method={config.method.name}"
    space = read_space({key: value for key, value in config.method.search.items() if key in SHORT}, of)
    own = space.get(SHORT["lr"])
    values = own.values if isinstance(own, Choices) else (own.low, own.high) if isinstance(own, Range) else ()
    given = sorted(value for value in values if isinstance(value, int | float) and value > 0)
    if not given or len(given) < len(values):
        raise ConfigError(f"{of} has no learning rates to try: give it search: {{lr: [1e-4, 1e-3]}}, all above 0.")
    if len(given) == wanted and isinstance(own, Choices):
        return given
    low, high = given[0], given[-1]
    places = [number / (wanted - 1) for number in range(wanted)] if wanted > 1 else [0.5]
    between = [low ** (1 - place) * high**place for place in places]
    return sorted({float(f"{rate:.{_DIGITS}g}") for rate in between})


def _trials(members: Sequence[RunConfig]) -> list[RunConfig]:
    """Return the trials of configurations that differ in their seeds alone."""
    first = members[0]
    if first.optim.lr != first.method.lr:
        raise ConfigError(f"optim.lr={first.optim.lr:g} is set, and search=lr would search it: leave one of them out.")
    tried = rates(first)
    wanted = first.budget.trials or first.search.trials
    if len(tried) < wanted:
        raise ConfigError(
            f"method={first.method.name} has {len(tried)} different learning rates in its search, and {wanted} trials "
            "are wanted of each method: lower search.trials, or widen its search."
        )
    seeds = members[: first.search.seeds]
    search = first.search.model_copy(update={"role": "trial"})
    return [_at(config, rate).model_copy(update={"search": search}) for rate in tried for config in seeds]


def _at(config: RunConfig, rate: float | None) -> RunConfig:
    return config.model_copy(update={"optim": config.optim.model_copy(update={"lr": rate})})


def _family(config: RunConfig) -> str:
    """Return what configurations share that differ in the seed alone."""
    return config_hash(config.model_copy(update={"seed": 0}))
