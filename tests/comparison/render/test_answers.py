"""Answers side by side: the first picture of a report on models that write."""

from io import StringIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from ftlab.comparison import compare
from ftlab.comparison.render.answers import answers_side_by_side, short_answers
from ftlab.comparison.render.markdown import markdown
from ftlab.comparison.render.report import report
from ftlab.comparison.render.terminal import terminal_tables
from ftlab.comparison.tables import Table
from ftlab.record import Metric, MetricColumn
from tests.comparison.factory import add_run
from tests.comparison.render.test_report import Page

COLUMNS = (MetricColumn(metric="rouge_l", label="ROUGE-L", higher_is_better=True),)


def answered_run(sweep: Path, method: str, generated: list[str | None], seed: int = 0, **columns: list[Any]) -> Path:
    """Add a run that answered these prompts, one that begins with its prompt's number right; None: it was not asked."""
    scores = [
        None if text is None else float(text.startswith(str(n))) if text[:1].isdecimal() else 0.5
        for n, text in enumerate(generated)
    ]
    value = Metric(value=0.5, n=len(generated))
    changes: dict[str, Any] = {"task": "instruction", "predicts": "tokens", "columns": COLUMNS}
    changes["metrics"] = {"instruction": {"test": {"rouge_l": value}}}
    folder = add_run(sweep, method, seed=seed, changes=changes, like="lora")
    n = len(generated)
    table = {
        **{name: [text] * n for name, text in (("task", "instruction"), ("split", "test"))},
        "example_id": [f"{number:016x}" for number in range(n)],
        "where": [f"a.jsonl:{number + 1}" for number in range(n)],
        "text": [f"prompt {number}" for number in range(n)],
        "expected": [str(number) for number in range(n)],
        "generated": generated,
        "rouge_l": scores,
        **columns,
    }
    pq.write_table(pa.table(table), folder / "predictions.parquet")
    return folder


def _table(sweep: Path) -> Table:
    (table,) = compare([sweep]).tables
    return table


def test_prompts_on_which_rows_differ_come_first_and_others_are_drawn(tmp_path: Path) -> None:
    same = [f"{n}" for n in range(12)]
    answered_run(tmp_path, "full", [*same, None], seed=1)
    answered_run(tmp_path, "lora", [*same[:5], "wrong", "0 wrong", *same[7:], None], seed=1)
    answered_run(tmp_path, "lora", ["of another seed"] * 13, seed=0)
    found = answers_side_by_side(_table(tmp_path))
    assert found is not None
    assert (found.seed, found.compared) == (1, 12)
    assert [(prompt.where, prompt.differs) for prompt in found.prompts[:2]] == [
        ("a.jsonl:7", True),
        ("a.jsonl:6", True),
    ]
    assert len(found.prompts) == 6
    assert not any(prompt.differs for prompt in found.prompts[2:])
    first = found.prompts[0]
    assert (first.prompt, first.expected) == ("prompt 6", "6")
    assert [(answer.method, answer.text, answer.score) for answer in first.answers] == [
        ("full", "6", 1.0),
        ("lora", "0 wrong", 0.0),
    ]
    assert found == answers_side_by_side(_table(tmp_path)), "each report shows the same ones"


@pytest.mark.parametrize("lacking", ["expected", "text", "generated", "example_id"])
def test_runs_that_saved_less_show_nothing(tmp_path: Path, lacking: str) -> None:
    """As those of an older version, which wrote prompt and response in one text."""
    folder = answered_run(tmp_path, "full", ["0", "1"])
    assert answers_side_by_side(_table(tmp_path)) is not None
    path = folder / "predictions.parquet"
    pq.write_table(pq.read_table(path).drop_columns([lacking]), path)
    assert answers_side_by_side(_table(tmp_path)) is None
    path.write_bytes(b"PAR1")
    assert answers_side_by_side(_table(tmp_path)) is None


def test_texts_are_whole_characters_and_no_markup(tmp_path: Path) -> None:
    texts = ["<script>alert(1)</script>", "\x1b[2Jjump\u202e", "", "好" * 5000]
    answered_run(tmp_path, "full", list(texts), text=["</dl><b>"] * 4)
    comparison = compare([tmp_path])
    html = report(comparison, tmp_path)
    page = Page(html)
    assert "Answers side by side" in page.text
    assert page.text.index("Answers side by side") < page.text.index("Learning curves")
    assert "<script>alert(1)</script>" in page.text
    assert not [tag for tag, _ in page.elements if tag == "b"]
    assert "\x1b" not in html
    assert "\u202e" not in html
    assert r"\x1b[2Jjump\u202e" in page.text
    assert "(nothing)" in page.text
    assert "好" * 599 + "…" in page.text
    assert "好" * 600 not in page.text
    assert short_answers(_table(tmp_path)) == [], "long texts stay out of what is plain text"
    assert len(html.encode()) < 1_500_000


def test_many_rows_stay_small(tmp_path: Path) -> None:
    for number in range(30):
        answered_run(tmp_path, f"lora{number}", ["好" * 5000] * 8)
    html = report(compare([tmp_path]), tmp_path)
    assert len(html.encode()) < 1_520_000
    assert html.count('<article class="answered">') == 6


def test_short_answers_are_lines_of_plain_text(tmp_path: Path) -> None:
    answered_run(tmp_path, "full", ["0", "1*"])
    answered_run(tmp_path, "lora", ["0", "今天 \n好\x1b"])
    comparison = compare([tmp_path])
    line = r"a.jsonl:2: prompt 1 → 1 (expected); full: 1*; lora: 今天 好\x1b"
    assert short_answers(comparison.tables[0])[0] == line
    assert r"- a.jsonl:2: prompt 1 → 1 (expected); full: 1\*; lora: 今天 好\\x1b" in markdown(comparison)
    (tmp_path / "other").mkdir()
    answered_run(tmp_path / "other", "full", ["0"], where=[None])
    assert short_answers(_table(tmp_path / "other")) == ["prompt 0 → 0 (expected); full: 0"], "no place is known"
    console = Console(width=200, file=StringIO())
    console.print(terminal_tables(comparison))
    assert line in console.file.getvalue()
