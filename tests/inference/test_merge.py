"""Adapters merged into weights of half precision: what training changed is still there, or the model is float32."""

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ftlab.inference.verify import MIN_SURVIVING, surviving_share
from tests.fixtures.finished_runs import TRAINED, finished
from tests.inference.test_export import exported

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")
HALF = ("llama", "instruction_files", "method=lora", "model.dtype=bfloat16")


def test_the_share_of_an_effect_that_is_left() -> None:
    base, trained = [torch.zeros(2, 3), torch.zeros(1, 2, 3)], [torch.ones(2, 3), torch.ones(1, 2, 3)]
    assert surviving_share(trained, trained, base) == 1
    assert surviving_share(base, trained, base) == 0
    assert surviving_share([logits * 0.75 for logits in trained], trained, base) == pytest.approx(0.75)
    assert surviving_share([logits * 3 for logits in trained], trained, base) == 0, "as much noise as there is effect"
    assert surviving_share(base, base, base) == 1, "nothing was trained, and nothing is lost"
    assert surviving_share(trained, base, base) == 0


@pytest.mark.parametrize(
    ("settings", "dtype"),
    [(("optim.lr=1e-5",), torch.float32), (("optim.lr=0.1", "budget.steps=20"), torch.bfloat16)],
)
def test_a_small_update_is_merged_in_float32(settings: tuple[str, ...], dtype: torch.dtype, tmp_path: Path) -> None:
    """Most weights of bfloat16 would not move, and the rounding of a logit is larger than the adapter's effect."""
    _, said = exported(finished(*HALF, *settings), tmp_path / "out", merge=True)
    (share,) = (int(found[1]) for line in said if (found := re.search(r"(\d+)% of what", line)))
    assert (share >= 100 * MIN_SURVIVING) == (dtype == torch.bfloat16)
    weights = load_file(tmp_path / "out" / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {dtype}


def test_a_trained_head_is_no_effect_of_the_adapter(tmp_path: Path) -> None:
    """It is saved as it is, and would hide that all of the adapter is lost."""
    run = finished("bert", "text_files", "method=lora", "model.dtype=bfloat16", "optim.lr=1e-5")
    _, said = exported(run, tmp_path / "out", merge=True)
    assert any("float32" in line for line in said)


def test_float32_is_merged_as_ever(tmp_path: Path) -> None:
    _, said = exported(finished("llama", "instruction_files", "method=lora", *TRAINED), tmp_path / "out", merge=True)
    assert not [line for line in said if "%" in line]
