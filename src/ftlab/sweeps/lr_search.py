"""Learning rate search (`search=lr`): every method tries the same number of rates and runs with its best on validation.

It is two sweeps in one folder: first the trials, with the first `search.seeds` seeds and without the test split; then
all requested runs, with the best rate of each method. Complete runs are not repeated, so the same command resumes an
interrupted search. A trial that diverges counts as failed, and the search continues.
"""

from collections import defaultdict
from collections.abc import Sequence

from ftlab.config.fingerprint import config_hash
from ftlab.config.run_config import RunConfig
from ftlab.core.errors import ConfigError
from ftlab.sweeps.search_space import SHORT_KEYS, Choices, Range, Value, read_space

_DIGITS = 3  # significant digits of interpolated rates


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


def trial_configs(configs: Sequence[RunConfig]) -> list[RunConfig]:
    """Return the trials for configurations that differ only in the seed.

    Raises:
        ConfigError: the learning rate is fixed, or the method's `search` has too few different ones.
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
    one_per_seed = configs[: first.search.seeds]
    search = first.search.model_copy(update={"role": "trial"})
    return [with_lr(config, lr).model_copy(update={"search": search}) for lr in lrs for config in one_per_seed]


def trials_by_group(configs: Sequence[RunConfig]) -> dict[str, list[RunConfig]]:
    """Return `hash_without_seed` -> trials, for each group of configurations whose learning rate is searched.

    Raises:
        ConfigError: see `trial_configs`.
    """
    groups: dict[str, list[RunConfig]] = defaultdict(list)
    for config in configs:
        if config.search.name == "lr" and config.method.lr is not None:  # without training there is no rate to search
            groups[hash_without_seed(config)].append(config)
    return {group: trial_configs(members) for group, members in groups.items()}


def with_lr(config: RunConfig, lr: float | None) -> RunConfig:
    """Return a copy of the configuration with this learning rate."""
    return config.model_copy(update={"optim": config.optim.model_copy(update={"lr": lr})})


def hash_without_seed(config: RunConfig) -> str:
    """Return a hash that is equal for configurations that differ only in the seed."""
    return config_hash(config.model_copy(update={"seed": 0}))
