"""Check of what a sweep declares about its comparison, before anything runs."""

from pathlib import Path

import pytest

from ftlab.core.errors import ConfigError
from ftlab.sweeps.declared import check_declared
from tests.comparison.factory import add_run
from tests.fixtures.compose import composed
from tests.fixtures.refusals import refused


def test_what_is_possible_is_accepted(tmp_path: Path) -> None:
    check_declared([composed("method=full"), composed("method=lora")], tmp_path)
    declared = ("compare.reference=lora", "compare.margin=2%")
    check_declared([composed("method=full", *declared), composed("method=lora", *declared)], tmp_path)


@pytest.mark.parametrize(
    ("first", "second", "named"),
    [
        (["compare.margin=0.01"], ["compare.margin=0.02"], "one value"),
        (["compare.reference=lroa"], ["compare.reference=lroa"], "lora?"),
        (["compare.reference=''"], ["compare.reference=''"], "full, lora"),
        (["compare.margin=1.5"], ["compare.margin=1.5"], "accuracy"),
        (["compare.margin=100%"], ["compare.margin=100%"], "accuracy"),
    ],
)
def test_what_is_impossible_is_refused_before_the_first_run(
    tmp_path: Path, first: list[str], second: list[str], named: str
) -> None:
    with refused(ConfigError, named):
        check_declared([composed("method=full", *first), composed("method=lora", *second)], tmp_path)


def test_a_reference_that_ran_before_is_one(tmp_path: Path) -> None:
    add_run(tmp_path, "full")
    declared = "compare.reference=full"
    check_declared([composed("method=prefix", declared), composed("method=lora", declared)], tmp_path)


@pytest.mark.parametrize("margin", ["abc", "50%%", "-0.1", "0"])
def test_what_is_no_margin_is_refused_with_what_is_one(margin: str) -> None:
    with refused(ConfigError, "compare.margin=", "1%"):
        composed(f"compare.margin={margin}")
    assert composed("compare.margin=2%").compare.margin == "2%"
    assert composed("compare.margin=0.02").compare.margin == 0.02
