"""Search spaces: the forms of `search`, and one sentence for each that is none."""

from typing import Any

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from ftlab.config.paths import conf_dir
from ftlab.core.errors import ConfigError
from ftlab.sweeps.search_space import Choices, Range, corner_points, grid_points, num_points, read_space, to_overrides
from tests.fixtures.refusals import refused

METHODS = sorted((conf_dir() / "method").glob("*.yaml"))


def test_every_space_in_conf_is_valid() -> None:
    spaces = [
        read_space(content["search"], path.stem)
        for path in METHODS
        if "search" in (content := yaml.safe_load(path.read_text(encoding="utf-8")))
    ]
    assert len(spaces) > 10
    assert all("optim.lr" in space for space in spaces)


def test_lists_ranges_and_keys() -> None:
    space = read_space(
        {
            "lr": {"low": 1e-5, "high": 1e-2, "log": True},
            "method.config.r": [4, 8, 8],
            "method": {"config": {"lora_alpha": {"low": 8, "high": 32, "step": 8}}},
            "optim": {"warmup": {"low": 0.0, "high": 0.2, "step": 0.1}},
        },
        "x",
    )
    assert space == {
        "optim.lr": Range(1e-5, 1e-2, log=True),
        "method.config.r": Choices((4, 8)),
        "method.config.lora_alpha": Range(8, 32, step=8),
        "optim.warmup": Range(0.0, 0.2, step=0.1),
    }
    assert [dimension.num_values for dimension in space.values()] == [None, 2, 4, 3]
    assert num_points(space) is None
    del space["optim.lr"]
    assert num_points(space) == len(grid_points(space)) == 24
    assert list(space["method.config.lora_alpha"]) == [8, 16, 24, 32]
    assert num_points({}) == len(grid_points({})) == 1


def test_every_choice_and_both_ends_are_composed_beforehand() -> None:
    space = read_space({"lr": {"low": 0.1, "high": 0.9}, "optim.schedule": ["linear", "cosine", "constant"]}, "x")
    assert corner_points(space) == [
        {"optim.lr": 0.1, "optim.schedule": "linear"},
        {"optim.lr": 0.9, "optim.schedule": "cosine"},
        {"optim.lr": 0.9, "optim.schedule": "constant"},
    ]
    assert corner_points({}) == [{}]


@pytest.mark.parametrize("value", [1e-5, 3, True, False, None, "all-linear", "it's, 'quoted' \\ {x}", "8", "null"])
def test_a_value_comes_through_the_command_line_as_it_is(value: Any) -> None:
    (override,) = OverridesParser.create().parse_overrides(to_overrides({"a.b": value}))
    read = override.value()
    assert (read.text if hasattr(read, "text") else read) == value
    assert type(value) is str or type(read) is type(value)


@pytest.mark.parametrize(
    ("given", "culprits"),
    [
        (1e-3, ["search.lr of x", "0.001", "{low: A, high: B}", "log: true", "step: C"]),
        ([], ["search.lr of x", "empty", "{low: A, high: B}"]),
        ([[1]], ["search.lr of x", "[1]", "true, false or null"]),
        ({}, ["search.lr of x", "low=None"]),
        ({"low": 1}, ["search.lr of x", "high=None"]),
        ({"low": "1", "high": 2}, ["search.lr of x", "low='1'"]),
        ({"low": 2, "high": 1}, ["search.lr of x", "low=2", "high=1"]),
        ({"low": 0, "high": 1, "log": True}, ["search.lr of x", "log: true", "low", "above 0"]),
        ({"low": 1, "high": 9, "step": 2, "log": True}, ["search.lr of x", "log: true", "step"]),
        ({"low": 1, "high": 9, "step": 0.5}, ["search.lr of x", "step=0.5", "low", "high"]),
        ({"low": 1, "high": float("inf")}, ["search.lr of x", "high=inf"]),
        ({"low": 1, "high": 2, "log": "yes"}, ["search.lr of x", "log='yes'", "true", "false"]),
        ({"low": 1, "high": 2, "base": 10}, ["search.lr of x", "base", "{low: A, high: B}"]),
    ],
)
def test_what_is_no_space_is_told(given: Any, culprits: list[str]) -> None:
    with refused(ConfigError, *culprits):
        read_space({"lr": given}, "x")
