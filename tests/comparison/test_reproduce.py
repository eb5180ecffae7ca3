import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftlab.comparison import compare
from ftlab.comparison.reproduce import _split_list, reproduce_command
from tests.comparison.factory import add_run


def commands(sweep: Path, words: str, seeds: tuple[int, ...] = (0,)) -> dict[str, str | None]:
    for method in ("lora", "full"):
        for seed in seeds:
            add_run(sweep, method, seed=seed, changes={"command": shlex.split(words)})
    (table,) = compare([sweep]).tables
    return {row.label: reproduce_command(row) for row in table.rows}


@pytest.mark.parametrize(
    ("sweep", "lora"),
    [
        ("python train.py -m method=lora,full", "python train.py method=lora"),
        ("python train.py -m method=lora,full seed=0,1", "python train.py -m method=lora seed=0,1"),
        ("python train.py method=full,lora optim.lr=1e-3,2e-3 -m", "python train.py method=lora optim.lr=2e-3"),
        ("ftlab train -m method=full,lora method.targets=[a,b]", "ftlab train method=lora 'method.targets=[a,b]'"),
        ("ftlab train -m method=full,lora 'note=\"a,b\"'", "ftlab train method=lora 'note=\"a,b\"'"),
        ("python train.py -m method=lora,full 'seed=range(0,3)'", None),
        ("python train.py -m hydra/sweeper=ftlab_optuna method=lora,full", None),
        ("python train.py -m method=other,full", None),
        ("", None),
    ],
)
def test_a_sweeps_command_is_narrowed_to_the_row(tmp_path: Path, sweep: str, lora: str | None) -> None:
    seeds = (0, 1) if "seed=0,1" in sweep else (0,)
    assert commands(tmp_path, sweep, seeds)["lora"] == lora


def test_rows_made_by_several_commands_have_no_single_one(tmp_path: Path) -> None:
    for seed in (0, 1):
        add_run(tmp_path, "lora", seed=seed, changes={"command": ["python", "train.py", f"seed={seed}"]})
    (table,) = compare([tmp_path]).tables
    assert reproduce_command(table.rows[0]) is None


@given(st.text(alphabet="ab,[]{}'\"=", max_size=20))
def test_splitting_loses_nothing(value: str) -> None:
    assert ",".join(_split_list(value)) == value


@given(st.lists(st.text(alphabet="ab1.-", min_size=1, max_size=5), min_size=1, max_size=5))
def test_plain_lists_split_at_each_comma(values: list[str]) -> None:
    assert _split_list(",".join(values)) == values
