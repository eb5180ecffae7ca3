"""Equal fingerprints mean the same run: what changes a result changes it, what does not leaves it alone."""

import pytest

from ftlab.fingerprint import config_hash, fingerprint
from tests.configs import composed


def _fingerprint(*overrides: str, data: str = "d", base: str = "b") -> str:
    return fingerprint(composed(*overrides), data_hash=data, base_hash=base)


@pytest.mark.parametrize(
    "override",
    [
        "tracker=none",
        "sweep.dir=elsewhere",
        "hardware.num_workers=2",
        "hardware.eval_batch_size=8",
        "dataset.source._target_=ftlab.data.wheels.same_rows_from_elsewhere",
        "method.search.lr=[1.0]",
        "model.name=another_label",
    ],
)
def test_what_changes_no_result_changes_no_fingerprint(override: str) -> None:
    assert _fingerprint(override) == _fingerprint()


@pytest.mark.parametrize(
    "override",
    ["seed=1", "method=full", "optim.lr=0.5", "method.config.r=4", "budget.max_length=32", "dataset.split_seed=1"],
)
def test_what_changes_a_result_changes_the_fingerprint(override: str) -> None:
    assert _fingerprint(override) != _fingerprint()
    assert config_hash(composed(override)) != config_hash(composed())


def test_data_and_weights_count_by_content() -> None:
    assert len({_fingerprint(), _fingerprint(data="e"), _fingerprint(base="c")}) == 3


def test_before_the_data_is_read_its_place_counts() -> None:
    mine, yours = (composed("dataset=text_files", f"dataset.source.train={name}.csv") for name in ("mine", "yours"))
    assert config_hash(mine) != config_hash(yours)
