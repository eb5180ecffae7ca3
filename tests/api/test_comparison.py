"""Comparison in Python: the same numbers and sentences as the files and the terminal have."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ftlab.api.comparison import compare
from ftlab.api.results import load_sweep
from ftlab.comparison.render.findings import findings
from ftlab.core.errors import UserError
from tests.comparison.answered import with_hits
from tests.comparison.factory import add_run, showcase
from tests.fixtures.statements import states


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Three methods with three seeds each."""
    draw = np.random.default_rng(0)
    for method, rate in (("full", 0.9), ("lora", 0.6), ("head", 0.5)):
        for seed in range(3):
            with_hits(tmp_path / "sweep", method, seed, (draw.random(200) < rate).astype(float))
    return tmp_path / "sweep"


def test_the_data_frame_has_the_values_of_comparison_json(sweep: Path, tmp_path: Path) -> None:
    comparison = compare(sweep)
    frame = comparison.to_dataframe().set_index("row")
    paths = comparison.write(tmp_path / "files")
    assert [path.suffix for path in paths] == [".md", ".csv", ".tex", ".json", ".html"]
    assert paths[0].read_text(encoding="utf-8") == comparison.to_markdown()
    [table] = json.loads(paths[3].read_text(encoding="utf-8"))["tables"]
    for row in table["rows"]:
        mine, values = frame.loc[row["row"]], row["values"]
        assert mine["seeds"] == 3
        assert mine["test_accuracy"] == values["accuracy"]["mean"]
        assert mine["test_accuracy_sd"] == values["accuracy"]["sd"]
        outcome = None if pd.isna(mine["against_reference"]) else mine["against_reference"]
        assert outcome == row["against_reference"]
        assert mine["within_margin"] == row["within_margin"]["verdict"]
        assert (mine["low"], mine["high"]) == (row["interval"]["low"], row["interval"]["high"])
        for name in ("train_s", "examples_per_s", "peak_memory_bytes", "trainable_parameters", "adapter_bytes"):
            assert mine[name] == values[name]["mean"]
    for contrast in table["family"]["contrasts"]:
        mine = frame.loc[contrast["row"]]
        assert mine["reference"] == "full"
        for name, value in (("difference", "difference"), ("p", "p"), ("p_adjusted", "adjusted")):
            assert mine[name] == contrast[value]
    assert (frame["p"].dropna() < frame["p_adjusted"].dropna()).any()
    assert (mine["difference_low"], mine["difference_high"]) == tuple(
        contrast["interval"][end] for end in ("low", "high")
    )
    assert np.isnan(frame.loc["full", "p"])


def test_the_text_is_that_of_the_terminal(sweep: Path) -> None:
    comparison = compare(load_sweep(sweep))
    text = str(comparison)
    assert repr(comparison) == text
    states(text, "full", "lora", "test", "completed")
    [table] = comparison.content.tables
    words = " ".join(text.split())
    assert all(sentence in words for sentence in findings(table))
    assert "\x1b" not in text


def test_a_notebook_shows_the_text_escaped(tmp_path: Path) -> None:
    add_run(tmp_path, "lora", changes={"method": "<script>alert(1)</script>"})
    html = compare(tmp_path)._repr_html_()
    assert html.startswith("<pre>")
    assert "&lt;script&gt;" in html
    assert "<script" not in html


def test_several_folders_a_reference_and_what_is_allowed(sweep: Path, tmp_path: Path) -> None:
    add_run(tmp_path / "other", "bitfit")
    assert set(compare([sweep, tmp_path / "other"]).to_dataframe()["method"]) == {"full", "lora", "head", "bitfit"}
    assert compare(sweep, reference="lora").to_dataframe()["reference"].unique().tolist() == ["lora"]
    assert (
        compare(sweep, allow="data,base").to_dataframe().equals(compare(sweep, allow=["data", "base"]).to_dataframe())
    )
    for arguments, culprit in (({"reference": "lroa"}, "lroa"), ({"allow": "dta"}, "dta")):
        with pytest.raises(UserError, match=culprit):
            compare(sweep, **arguments)
    with pytest.raises(UserError, match="nowhere"):
        compare(tmp_path / "nowhere")


def test_nothing_is_tested_where_one_row_has_a_result(tmp_path: Path) -> None:
    add_run(tmp_path, "lora")
    add_run(tmp_path, "full", status="oom")
    frame = compare(tmp_path).to_dataframe()
    assert frame["row"].tolist() == ["lora"]
    assert "p" not in frame


def test_warnings_are_those_of_the_tables(tmp_path: Path) -> None:
    comparison = compare(showcase(tmp_path / "sweep"))
    assert comparison.warnings == comparison.content.warnings
    assert comparison.warnings
