"""The benchmark runs: that its smallest case, on a tiny random model, finds what it is to find; no time is asserted."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import plot, rerun_scatter

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.xdist_group("benchmarks")
@pytest.mark.skipif(sys.platform != "linux", reason="the meter reads the kernel's high-water mark")
def test_the_smallest_case_measures_both_sides(tmp_path: Path) -> None:
    command = [sys.executable, "benchmarks/run.py", "--smallest", "--pairs", "1", "--threads", "1"]
    told = subprocess.run(
        [*command, "--output", str(tmp_path / "found.json")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stdout + told.stderr
    found = json.loads((tmp_path / "found.json").read_text())["smallest"]
    assert set(found["runs"]) == {"ftlab", "best", "default", "accumulating"}
    for (run,) in found["runs"].values():
        assert run["tokens"] == found["runs"]["ftlab"][0]["tokens"] > 0
        assert run["seconds"] > 0
        assert run["peak_bytes"] >= run["base_bytes"] > 0
        assert run["loss"] > 0


def test_a_plot_names_its_lines_and_is_the_same_file_each_time(tmp_path: Path) -> None:
    lines = {"first": [(10, 0.5), (1000, 20)], "second": [(10, 1)]}
    for name in ("a.svg", "b.svg"):
        plot.write(tmp_path / name, "a < b", "rows", "seconds", lines)
    drawn = (tmp_path / "a.svg").read_text()
    for said in ("a &lt; b", "rows", "seconds", "first", "second", "1,000"):
        assert f">{said}</text>" in drawn
    assert drawn == (tmp_path / "b.svg").read_text()


def test_the_scatter_of_reruns_is_without_row_and_campaign(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = {"a": [0.50, 0.51, 0.48], "b": [0.40, 0.41, 0.38], "c": [0.45, 0.48, 0.43], "low": [0.1, 0.2, 0.3]}
    table = {
        "rows": [
            {"row": row, "seeds": [0, 1, 2], "values": {"accuracy": {"by_seed": values}}}
            for row, values in rows.items()
        ]
    }
    (tmp_path / "comparison.json").write_text(json.dumps({"tables": [table]}))
    rerun_scatter.main(tmp_path / "comparison.json")
    scatter, first, *_ = capsys.readouterr().out.splitlines()
    assert "3 rows" in scatter
    assert "sd of a rerun 0.67 pt (4 df)" in scatter
    assert "+1.67 pt" in first
    assert "0 of 3 rows lower" in first
