import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser

from ftlab.sweeps.notes import equal_notes, range_notes


def jobs_of(*typed: str) -> list[list[str]]:
    """Return the overrides of each job, as Hydra's own sweeper makes them."""
    (batch,) = BasicSweeper.split_arguments(OverridesParser.create().parse_overrides(list(typed)), None)
    return [list(job) for job in batch]


def test_a_fourth_value_that_nobody_typed_is_shown() -> None:
    typed = ["method=lora", "optim.weight_decay=range(0,0.9,0.3)"]
    jobs = jobs_of(*typed)
    assert len(jobs) == 4, "Hydra adds up floats; where it does not, this note is not needed"
    (note,) = range_notes(jobs, typed)
    for part in ("optim.weight_decay", "range(0,0.9,0.3)", "4", "0.8999999999999999"):
        assert part in note


@pytest.mark.parametrize(
    "typed", ["seed=range(3)", "optim.weight_decay=range(0,1,0.25)", "optim.lr=1e-3,0.8999999999999999", "model=gpt2"]
)
def test_values_as_typed_need_no_note(typed: str) -> None:
    assert range_notes(jobs_of(typed), [typed]) == []


def test_equal_configurations_are_named() -> None:
    jobs = jobs_of("optim.lr=1e-3,0.001,2e-3", "method=lora")
    (note,) = equal_notes(jobs, ["a", "a", "b"])
    assert all(text in note for text in ("optim.lr=0.001", "2 times", "once"))
    assert "method" not in note
    assert "2e-3" not in note
    assert equal_notes(jobs, ["a", "b", "c"]) == []
    (note,) = equal_notes([["seed=1", "optim.lr=1e-3"], ["seed=1", "optim.lr=0.001"]], ["a", "a"])
    assert all(text in note for text in ("optim.lr=1e-3", "optim.lr=0.001"))
