"""Runs of the floors that every method must beat: measured untrained, and compared with runs that train."""

import json
from pathlib import Path

import pytest

from ftlab.comparison import compare
from ftlab.comparison.render.files import write_comparison
from ftlab.comparison.render.main_table import main_table
from ftlab.record import RunRecord
from ftlab.train.run import run
from ftlab.train.speedups.cls_only_last_block import ClsOnlyLastBlock
from tests.fixtures.checkpoints import tiny
from tests.fixtures.compose import composed
from tests.fixtures.finished_runs import rows_for
from tests.methods.untrained import assert_untrained


def run_tiny(method: str, kind: str, directory: Path, *overrides: str, dataset: str = "text_files") -> RunRecord:
    settings = [f"method={method}", "model=hf", f"model.name={tiny(kind)}", f"dataset={dataset}"]
    rows = f"dataset.source.train={rows_for(dataset)}"
    return run(composed(*settings, rows, "budget=smoke", "tracker=none", *overrides), directory, [])


@pytest.fixture(scope="module")
def majority(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunRecord, Path]:
    """Return the record and the folder of a run that answers with the most frequent class."""
    directory = tmp_path_factory.mktemp("runs") / "majority"
    return run_tiny("majority", "t5", directory), directory


@pytest.mark.xdist_group("floors")
def test_majority_is_measured_untrained(majority: tuple[RunRecord, Path]) -> None:
    assert_untrained(*majority, kept=["answer.json"])


@pytest.mark.parametrize(
    ("method", "dataset", "overrides", "kept"),
    [
        ("zero_shot", "text_files", (), []),
        ("few_shot", "text_files", (), ["demonstrations.json"]),
        ("few_shot", "instruction_files", ("budget.max_length=128",), ["demonstrations.json"]),
    ],
)
def test_a_floor_is_measured_untrained(
    method: str, dataset: str, overrides: tuple[str, ...], kept: list[str], tmp_path: Path
) -> None:
    """Of texts that are written, zero_shot's run stands in tests/evaluation/test_generation.py."""
    shots = ("method.shots=2", "method.shot_tokens=40") if method == "few_shot" else ()
    record = run_tiny(method, "llama", tmp_path, *shots, *overrides, dataset=dataset)
    assert_untrained(record, tmp_path, kept=kept)
    if method == "few_shot":
        assert len(json.loads((tmp_path / "adapter" / kept[0]).read_text(encoding="utf-8"))) == 2


@pytest.mark.xdist_group("floors")
def test_trained_and_untrained_runs_stand_in_one_table(
    majority: tuple[RunRecord, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What trains here answers with words in writing: it has no last block of which the head reads one token alone."""
    monkeypatch.setattr(
        ClsOnlyLastBlock, "on_train_start", lambda *_: pytest.fail("a decoder's last block was shortened")
    )
    runs = majority[1].parent
    words = "method.words={money: bank, other: film}"
    assert run_tiny("prompt_head", "t5", runs / "prompt_head", words, "speed.last_block=auto").status == "completed"
    comparison = compare([runs])
    (table,) = comparison.tables
    assert table.warnings == ()
    content = main_table(table)
    rows = {line.method: dict(zip(content.headings[1:], line.cells, strict=True)) for line in content.lines}
    assert set(rows) == {"majority", "prompt_head"}
    measured = [heading for heading in content.headings if heading.startswith(("training time", "examples/s", "peak"))]
    assert len(measured) == 3
    for heading in measured:
        assert rows["majority"][heading].value is None
        assert rows["prompt_head"][heading].value is not None
    assert rows["majority"]["trainable parameters"].text == "0 (0 %)"
    assert write_comparison(comparison, tmp_path)  # the report too
