"""`search=lr`: seeds of the trials, which do not count again, and a search for each seed of the runs."""

from pathlib import Path

import pytest

from ftlab.comparison import compare
from ftlab.comparison.render.markdown import markdown
from ftlab.comparison.render.terminal import terminal_tables
from ftlab.comparison.searched_rows import search_scope
from ftlab.comparison.tables import Table
from ftlab.comparison.tuning import trial_seeds
from ftlab.config.run_config import RunConfig
from ftlab.core.errors import ConfigError
from ftlab.sweeps.jobs import run_name
from ftlab.sweeps.lr_search import trials_by_group, with_lr
from tests.fixtures.refusals import refused
from tests.sweeps.test_lr_search import FakeSweep, search, wanted

RATES = (5e-5, 1e-4, 2e-4, 4e-4)  # of `full`


def by_rate(config: RunConfig) -> float:
    """The best rate is the second for seed 1's search, and the third for all others."""
    best = RATES[1] if config.seed == trial_seeds(1, 1)[0] else RATES[2]
    return abs((config.optim.lr or 0.0) - best)


def seeds_of_trials(*configs: RunConfig, folder: Path = Path("nowhere")) -> list[list[int]]:
    groups = trials_by_group(configs, folder).values()
    return [sorted({trial.seed for trial in trials}) for trials in groups]


def the_table(folder: Path) -> Table:
    (table,) = compare([folder], tests=False).tables
    return table


def test_a_search_is_found_again_whatever_seeds_are_added() -> None:
    few, many = ([wanted("full", seed) for seed in seeds] for seeds in ((3,), (0, 1, 2, 3)))
    assert seeds_of_trials(*few) == seeds_of_trials(*many) == [[10_000]]
    assert seeds_of_trials(wanted("full", 3, "search.seeds=2")) == [[10_000, 10_001]]


def test_a_run_with_a_seed_of_the_trials_is_refused() -> None:
    with refused(ConfigError, "seed=10001", "search=lr"):
        seeds_of_trials(*(wanted("full", seed, "search.seeds=2") for seed in (0, 10_001)))
    assert seeds_of_trials(wanted("full", 10_001)) == [[10_000]]
    with refused(ConfigError, "seed=20000"):
        seeds_of_trials(*(wanted("full", seed, "search.per_seed=true") for seed in (1, 20_000)))
    with refused(ConfigError, "seed=500000", "search.per_seed"):
        seeds_of_trials(wanted("full", 500_000, "search.per_seed=true"))


@pytest.mark.parametrize("seeds", [1, 2])
def test_a_search_of_an_older_version_is_gone_on_with_and_its_rows_are_marked(
    seeds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake, setting = FakeSweep(by_rate), f"search.seeds={seeds}"
    configs = [wanted("full", seed, setting) for seed in (0, 1, 2)]
    as_trial = configs[0].search.model_copy(update={"role": "trial"})
    old = [with_lr(config, lr).model_copy(update={"search": as_trial}) for lr in RATES for config in configs[:seeds]]
    fake(old, tmp_path)
    search(monkeypatch, fake, tmp_path, *configs, wanted("full", 3, setting))
    assert [run_name(config) for config in fake.calls[1]] == [run_name(config) for config in old]
    table = the_table(tmp_path)
    assert table.rows[0].runs[0].tuning_s == 40 * seeds
    (warning,) = table.warnings
    assert warning.startswith("seed 0 of full " if seeds == 1 else "seeds 0, 1 of full ")
    assert table.rows[0].marks == (1,)


def test_rows_of_a_new_search_are_not_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    search(monkeypatch, FakeSweep(by_rate), tmp_path, *(wanted("full", seed) for seed in (0, 1, 2)))
    table = the_table(tmp_path)
    assert not table.warnings
    assert "0.0002" in search_scope(table)


def test_each_seed_has_a_search_of_its_own_and_the_rates_are_one_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeSweep(by_rate)
    configs = [wanted("full", seed, "search.per_seed=true") for seed in (0, 1, 2)] + [wanted("majority")]
    records = search(monkeypatch, fake, tmp_path, *configs)
    trials, runs = fake.calls
    assert [config.seed for config in trials] == [10_000] * 4 + [20_000] * 4 + [30_000] * 4
    assert [config.optim.lr for config in runs] == [2e-4, 1e-4, 2e-4, None]
    assert [record.seed for record in records] == [0, 1, 2, 0]
    table = the_table(tmp_path)
    rows = {row.label: row for row in table.rows}
    assert {label: len(row.runs) for label, row in rows.items()} == {"full": 3, "majority": 1}
    assert [run.tuning_s for run in rows["full"].runs] == [40, 40, 40]
    assert "full" in search_scope(table)
    assert "majority" not in search_scope(table)
    text = markdown(compare([tmp_path]))
    (line,) = [line for line in text.splitlines() if line.startswith("- full: ")]
    assert all(part in line for part in ("4 learning", "3 seeds", "2.00 min", "0.0001 (seed 1)", "0.0002 (seeds 0, 2)"))
    assert "per seed" in text, "instead of a rate in the table"
    assert terminal_tables(compare([tmp_path]))


def test_one_rate_for_all_seeds_and_one_for_each_are_two_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in ("false", "true"):
        configs = [wanted("full", seed, f"search.per_seed={setting}") for seed in (0, 1)]
        search(monkeypatch, FakeSweep(by_rate), tmp_path, *configs)
    rows = {row.label: [run.record.config["optim"]["lr"] for run in row.runs] for row in the_table(tmp_path).rows}
    assert rows == {"full optim.lr=0.0002": [2e-4, 2e-4], "full optim.lr=per seed": [2e-4, 1e-4]}


def test_a_seed_without_a_choice_is_named_and_the_others_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeSweep(lambda config: None if config.seed == 20_000 else 0.5)
    configs = [wanted("full", seed, "search.per_seed=true") for seed in (0, 1)]
    with refused(Exception, "full, seed 1: 4 "):
        search(monkeypatch, fake, tmp_path, *configs)
    assert [config.seed for config in fake.calls[1]] == [0]
