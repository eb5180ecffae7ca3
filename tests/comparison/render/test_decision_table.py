"""The decision table: what several sweeps say, with the runs behind it."""

import re
from pathlib import Path

from ftlab.comparison.advice import Limits
from ftlab.comparison.render.decision_table import collect_situations, decision_table
from tests.comparison.factory import METHODS, add_run


def _sweep(folder: Path, *methods: str, seeds: tuple[int, ...] = (0, 1, 2)) -> Path:
    for method in methods:
        for seed in seeds:
            add_run(folder, method, seed=seed, accuracy=METHODS[method][2] + 0.001 * seed, curves=False)
    return folder


def _cells(text: str) -> list[list[str]]:
    """Return the lines of the first table."""
    lines = re.findall(r"^\| (classification.*) \|$", text, re.MULTILINE)
    assert lines
    return [[cell.strip() for cell in line.split("|")] for line in lines]


def test_each_sweep_is_a_line_and_each_cell_leads_to_its_runs(tmp_path: Path) -> None:
    folders = [_sweep(tmp_path / "a", "full", "lora"), _sweep(tmp_path / "b", "full", "lora", seeds=(0,))]
    text = decision_table(collect_situations(folders, Limits(memory_bytes=10**9)), tmp_path)
    first, second = _cells(text)
    assert first[4:] == ["[lora](#situation-1)"] * 3  # only lora keeps to a gigabyte
    assert second[4:] == ["[lora](#situation-2)"] * 3
    assert '<a id="situation-1"></a>' in text
    links = re.findall(r"\]\((\S+/record\.json)\)", text)
    assert len(links) == 8
    assert all((tmp_path / link).is_file() for link in links)


def test_thin_evidence_gives_no_answer(tmp_path: Path) -> None:
    text = decision_table(
        collect_situations([_sweep(tmp_path / "a", "full", "lora", seeds=(0,))], Limits()), tmp_path / "b"
    )
    (line,) = _cells(text)
    assert line[4:] == ["[no answer](#situation-1)"] * 3
    assert "record.json" not in text  # the runs do not lie below the text
