"""Learning rate search (`search=lr`): every method tries the same number of rates and runs with its best on validation.

It is two sweeps in one folder: first the trials, with seeds of their own (`trial_seeds`) and without the test split;
then all requested runs, with the best rate of each method. Complete runs are not repeated, so the same command resumes
an interrupted search. A trial that diverges counts as failed, and the search continues.
"""

from collections import defaultdict
from collections.abc import Sequence, Set
from pathlib import Path

from ftlab.comparison.tuning import trial_seeds
from ftlab.config.fingerprint import config_hash
from ftlab.config.run_config import RunConfig
from ftlab.core.errors import ConfigError
from ftlab.sweeps.jobs import run_name
from ftlab.sweeps.search_space import SHORT_KEYS, Choices, Range, Value, read_space

_DIGITS = 3  # significant digits of interpolated rates
_END_OF_SEEDS = 2**32  # as of `RunConfig.seed`


def candidate_lrs(config: RunConfig) -> list[float]:
    """Return the learning rates that a configuration's method tries, in ascending order.

    If its `search` lists as many rates as there are trials, these are taken; otherwise the rates are evenly spaced on a
    logarithmic scale from its lowest to its highest one.

    Raises:
        ConfigError: the method's `search` has no learning rates, or not only positive ones.
    """
    num_trials = config.budget.trials or config.search.trials
    owner = f"method={config.method.name}"
    space = read_space({key: value for key, value in config.method.search.items() if key in SHORT_KEYS}, owner)
    lr_space = space.get(SHORT_KEYS["lr"])
    values: tuple[Value, ...] = ()
    if isinstance(lr_space, Choices):
        values = lr_space.values
    elif isinstance(lr_space, Range):
        values = (lr_space.low, lr_space.high)
    lrs = sorted(value for value in values if isinstance(value, int | float) and value > 0)
    if not lrs or len(lrs) < len(values):
        raise ConfigError(f"{owner} has no learning rates to try: give it search: {{lr: [1e-4, 1e-3]}}, all above 0.")
    if len(lrs) == num_trials and isinstance(lr_space, Choices):
        return lrs
    low, high = lrs[0], lrs[-1]
    fractions = [number / (num_trials - 1) for number in range(num_trials)] if num_trials > 1 else [0.5]
    interpolated = [low ** (1 - fraction) * high**fraction for fraction in fractions]
    return sorted({float(f"{lr:.{_DIGITS}g}") for lr in interpolated})


def trials_by_group(configs: Sequence[RunConfig], directory: Path) -> dict[str, list[RunConfig]]:
    """Return `search_group` -> trials, for each group of configurations that share a search for their learning rate.

    Args:
        configs: of a sweep.
        directory: the sweep's folder, which may have trials from before December 2026.

    Raises:
        ConfigError: a learning rate is fixed, a method's `search` has too few different ones, or a run has a seed of
            the trials.
    """
    groups: dict[str, list[RunConfig]] = defaultdict(list)
    for config in configs:
        if config.search.name == "lr" and config.method.lr is not None:  # without training there is no rate to search
            groups[search_group(config)].append(config)
    seeds = {config.seed for members in groups.values() for config in members}
    return {group: _trial_configs(members, seeds, directory) for group, members in groups.items()}


def _trial_configs(configs: Sequence[RunConfig], seeds: Set[int], directory: Path) -> list[RunConfig]:
    """Return the trials for configurations that differ only in the seed.

    Args:
        configs: of the runs that will have the chosen rate.
        seeds: of all runs, of which no trial may have one.
        directory: the sweep's folder.
    """
    first = configs[0]
    if first.optim.lr != first.method.lr:
        raise ConfigError(f"optim.lr={first.optim.lr:g} is set, but search=lr searches it: remove one of them.")
    lrs = candidate_lrs(first)
    num_trials = first.budget.trials or first.search.trials
    if len(lrs) < num_trials:
        raise ConfigError(
            f"method={first.method.name} has {len(lrs)} different learning rates in its search, and every "
            f"method needs {num_trials} trials: lower search.trials, or widen its search."
        )
    as_trial = first.model_copy(update={"search": first.search.model_copy(update={"role": "trial"})})
    trials = [with_lr(as_trial, lr) for lr in lrs]
    shared_seeds = [config.seed for config in configs[: first.search.seeds]]  # the rule until December 2026
    if not first.search.per_seed and any((directory / run_name(trial)).exists() for trial in trials):
        return [_with_seed(trial, seed) for trial in trials for seed in shared_seeds]
    own_seeds = trial_seeds(first.search.seeds, first.seed if first.search.per_seed else None)
    if taken := sorted(seeds & set(own_seeds)):
        raise ConfigError(
            f"seed={taken[0]} is a seed of the trials of search=lr, and a seed that chooses a rate must not count "
            "again in the comparison: give the runs another one."
        )
    if own_seeds[-1] >= _END_OF_SEEDS:
        raise ConfigError(f"seed={first.seed} is too large for search.per_seed=true: take one below 400000.")
    return [_with_seed(trial, seed) for trial in trials for seed in own_seeds]


def with_lr(config: RunConfig, lr: float | None) -> RunConfig:
    """Return a copy of the configuration with this learning rate."""
    return config.model_copy(update={"optim": config.optim.model_copy(update={"lr": lr})})


def search_group(config: RunConfig) -> str:
    """Return a hash that is equal for configurations that share a search: without `per_seed`, those of all seeds."""
    return config_hash(config if config.search.per_seed else _with_seed(config, 0))


def _with_seed(config: RunConfig, seed: int) -> RunConfig:
    return config.model_copy(update={"seed": seed})
