"""Predictions as a reader sees them: terminal, JSON lines, tables."""

from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from ftlab.core.errors import UserError
from ftlab.inference import output_files
from ftlab.inference.predictions import (
    ClassPrediction,
    LabelsPrediction,
    NumberPrediction,
    Prediction,
    TextPrediction,
)
from tests.fixtures.refusals import refused


def shown(texts: list[str], found: list[Prediction]) -> str:
    stream = StringIO()
    output_files.print_predictions(texts, found, Console(file=stream, width=60))
    return stream.getvalue()


def test_classes_stand_beside_their_texts_on_a_line_each() -> None:
    found = [ClassPrediction("[b]money[/b]", 0.91234, {})] * 2
    lines = shown(["Shares fell.", "long " * 30], found).splitlines()
    assert lines[0].split() == ["[b]money[/b]", "0.912", "Shares", "fell."]
    assert len(lines) == 2


def test_labels_and_numbers_stand_beside_their_texts() -> None:
    found = [LabelsPrediction(["a", "b"], {}), LabelsPrediction([], {})]
    assert [line.split() for line in shown(["x", "y"], found).splitlines()] == [["a,", "b", "x"], ["—", "y"]]
    assert shown(["x"], [NumberPrediction(3.14159)]).split() == ["3.142", "x"]
    assert shown(["x"], [NumberPrediction({"V": 1.5, "A": -2.0})]).split() == ["V", "1.5", "A", "-2", "x"]


def test_tables_hold_labels_and_numbers_in_cells(tmp_path: Path) -> None:
    output_files.write_file([LabelsPrediction(["a", "b"], {"a": 0.9, "b": 0.75})], tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == '"prediction","score_a","score_b"\n"a|b",0.9,0.75\n'
    output_files.write_file([NumberPrediction({"V": 1.5, "A": -2.0})], tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_text() == '"prediction_V","prediction_A"\n1.5,-2\n'


@dataclass(frozen=True)
class Stars(Prediction):
    stars: int
    votes: tuple[int, ...]


def test_predictions_of_a_users_own_form_are_json_lines_and_cells(tmp_path: Path) -> None:
    assert shown(["x"], [Stars(4, (1, 3))]) == '{"stars": 4, "votes": [1, 3]}\n'
    output_files.write_file([Stars(4, (1, 3))], tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == '"stars","votes"\n4,"[1, 3]"\n'
    output_files.write_file([Stars(4, (1, 3))], tmp_path / "a.parquet")
    assert pq.read_table(tmp_path / "a.parquet").to_pylist() == [{"stars": 4, "votes": [1, 3]}]


def test_what_was_written_stands_under_its_prompt() -> None:
    assert shown(["Hello?"], [TextPrediction("Hi [red]there")]).splitlines() == ["Hello?", "Hi [red]there"]


@pytest.mark.parametrize(("name", "culprits"), [("a.xml", ("--output", ".csv")), ("none/a.csv", ("--output", "none"))])
def test_a_file_that_could_not_be_written_is_told_first(name: str, culprits: tuple[str, ...], tmp_path: Path) -> None:
    with refused(UserError, tmp_path / name, *culprits):
        output_files.check_output_path(tmp_path / name)
