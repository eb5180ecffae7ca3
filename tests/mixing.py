"""A mixture of local rows, for tests."""

from pathlib import Path

from tests.fixtures.checkpoints import tiny
from tests.rows import answered_jsonl, classification_csv


def settings(folder: Path, *overrides: str) -> list[str]:
    """Return what mixes a classification, a regression and multi-label data of local rows."""
    rows, answered = folder / "rows.csv", folder / "answered.jsonl"
    if not answered.exists():
        classification_csv(rows)
        answered_jsonl(answered, 90)
    named = {"money": ("text_files", rows), "score": ("regression_files", answered)}
    named["many"] = ("multilabel_files", answered)
    return [
        *("model=hf", f"model.name={tiny('bert')}", "dataset=mixture", "budget=smoke", "tracker=none"),
        *(f"+dataset@dataset.parts.{name}={preset}" for name, (preset, _) in named.items()),
        *(f"dataset.parts.{name}.source.train={path}" for name, (_, path) in named.items()),
        *("dataset.parts.score.columns.text=text", "dataset.parts.score.columns.target=score"),
        *("dataset.parts.many.columns.text=text", "dataset.parts.many.columns.labels=labels"),
        *("dataset.mixing.by=weights", "dataset.mixing.weights={money: 2, score: 1, many: 1}", "budget.max_length=32"),
        *overrides,
    ]
