"""Confusion matrices, and the test examples on which a table's rows disagree, from predictions.parquet."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from ftlab.comparison.render.shown_examples import TEXT, WHERE, read_columns, runs_of_one_seed
from ftlab.comparison.tables import ComparedRun, Table
from ftlab.core.escapes import escape_controls

_MAX_CLASSES = 40  # a matrix of more is not readable and left out
_MAX_CELLS = 60_000  # of all matrices of a table together: keeps a report of 200 runs small
_MAX_EXAMPLES = 30  # shown


def confusion_matrices(table: Table, names: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the confusion matrix of each row, summed over its seeds; None if no prediction is a class.

    Args:
        table: with the rows.
        names: label of a row -> its name on the page.

    Returns:
        `labels`, and `rows`: name, method and `counts` of shape (labels, predictions), both in the order of `labels`.
        None for more than 40 classes; a table of very many rows has only the matrices of the first ones.
    """
    rows_and_counts = []
    for row in table.rows:
        runs = [run for run in row.runs if run.record.predicts == "class"]
        counts = sum((_counts(run) for run in runs), Counter[tuple[str, str]]())
        if counts:
            rows_and_counts.append((row, counts))
    recorded = dict.fromkeys(label for row, _ in rows_and_counts for run in row.runs for label in _labels(run))
    labels = list(recorded) or sorted({name for _, counts in rows_and_counts for pair in counts for name in pair})
    if not labels or len(labels) > _MAX_CLASSES:
        return None
    max_rows = _MAX_CELLS // len(labels) ** 2
    return {
        "labels": labels,
        "rows": [
            {
                "label": names[row.label],
                "method": row.method,
                "seeds": len(row.runs),
                "counts": [[counts[label, prediction] for prediction in labels] for label in labels],
            }
            for row, counts in rows_and_counts[:max_rows]
        ],
    }


def disagreements(table: Table) -> dict[str, Any] | None:
    """Return the test examples whose predictions differ most between the rows; None if no two rows can be compared.

    Of each row the run of one seed is read; see `runs_of_one_seed`.

    Returns:
        `seed`, `rows` (names), `compared` and `differing` (numbers of examples), and `examples`: id, label, text and
        where (None if they were not saved), and `answers`, prediction -> names of the rows with it, the most frequent
        first.
    """
    runs = runs_of_one_seed([row for row in table.rows if row.runs[0].record.predicts == "class"])
    if runs is None:
        return None
    seed, run_of_row = runs
    examples_of_rows = {label: examples for label, run in run_of_row.items() if (examples := _examples(run))}
    if len(examples_of_rows) < 2:
        return None
    ids = set.intersection(*(set(examples) for examples in examples_of_rows.values()))
    differing = []
    for example_id in ids:
        rows_by_prediction: dict[str, list[str]] = defaultdict(list)
        for name, examples in examples_of_rows.items():
            rows_by_prediction[examples[example_id]["prediction"]].append(name)
        if len(rows_by_prediction) > 1:
            largest_agreement = max(len(names) for names in rows_by_prediction.values())
            differing.append((largest_agreement, example_id, rows_by_prediction))
    differing.sort(key=lambda item: item[:2])
    # labels are the same in every row, but not every row has the text
    with_text = max(examples_of_rows.values(), key=lambda examples: TEXT in next(iter(examples.values())))
    return {
        "seed": seed,
        "rows": list(examples_of_rows),
        "compared": len(ids),
        "differing": len(differing),
        "examples": [
            {
                "id": example_id,
                "label": with_text[example_id]["label"],
                **{name: _shown(with_text[example_id].get(name)) for name in (TEXT, WHERE)},
                "answers": dict(sorted(rows_by_prediction.items(), key=lambda item: -len(item[1]))),
            }
            for _, example_id, rows_by_prediction in differing[:_MAX_EXAMPLES]
        ],
    }


def _labels(run: ComparedRun) -> list[str]:
    return run.record.data.labels if run.record.data else []


def _counts(run: ComparedRun) -> Counter[tuple[str, str]]:
    """Return (label, prediction) -> number of test examples."""
    table = read_columns(run, ["label", "prediction"])
    if table is None:
        return Counter()
    pairs = table.group_by(["label", "prediction"]).aggregate([([], "count_all")]).to_pylist()
    return Counter({(pair["label"], pair["prediction"]): pair["count_all"] for pair in pairs})


def _examples(run: ComparedRun) -> dict[str, dict[str, str]]:
    """Return example id -> label, prediction and, if saved, text and location of its row, of the test split."""
    table = read_columns(run, ["example_id", "label", "prediction"], [TEXT, WHERE])
    return {} if table is None else {row.pop("example_id"): row for row in table.to_pylist()}


def _shown(text: str | None) -> str | None:
    return None if text is None else escape_controls(str(text))
