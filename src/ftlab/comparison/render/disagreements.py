"""Confusion matrices, and the test examples on which a table's rows disagree, from predictions.parquet."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ftlab.comparison.tables import ComparedRun, Configuration, Table
from ftlab.record.folder import PREDICTIONS

TEXT = "text"  # column with the beginning of the example; not every task writes it
_MAX_CLASSES = 40  # a matrix of more is not readable and left out
_MAX_CELLS = 60_000  # of all matrices of a table together: keeps a report of 200 runs small
_MAX_ROWS = 12  # whose predictions are compared
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

    Of each row the run of the smallest seed that all rows have is read. At most twelve rows are compared: one of each
    method first, then other configurations of a method.

    Returns:
        `seed`, `rows` (names), `compared` and `differing` (numbers of examples), and `examples`: id, label, text (None
        if it was not saved) and `answers`, prediction -> names of the rows with it, the most frequent first.
    """
    rows = [row for row in table.rows if row.runs[0].record.predicts == "class"]
    first_of_methods = list({row.method: row for row in reversed(rows)}.values())[::-1]
    rows = [*first_of_methods, *(row for row in rows if row not in first_of_methods)][:_MAX_ROWS]
    common_seeds = set.intersection(*({run.record.seed for run in row.runs} for row in rows)) if rows else set()
    if len(rows) < 2 or not common_seeds:
        return None
    seed = min(common_seeds)
    examples_of_rows = {row.label: examples for row in rows if (examples := _examples(_run_of_seed(row, seed)))}
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
                "text": with_text[example_id].get(TEXT),
                "answers": dict(sorted(rows_by_prediction.items(), key=lambda item: -len(item[1]))),
            }
            for _, example_id, rows_by_prediction in differing[:_MAX_EXAMPLES]
        ],
    }


def _run_of_seed(row: Configuration, seed: int) -> ComparedRun:
    return next(run for run in row.runs if run.record.seed == seed)


def _labels(run: ComparedRun) -> list[str]:
    return run.record.data.labels if run.record.data else []


def _counts(run: ComparedRun) -> Counter[tuple[str, str]]:
    """Return (label, prediction) -> number of test examples."""
    table = _read_predictions(run, ["label", "prediction"])
    if table is None:
        return Counter()
    pairs = table.group_by(["label", "prediction"]).aggregate([([], "count_all")]).to_pylist()
    return Counter({(pair["label"], pair["prediction"]): pair["count_all"] for pair in pairs})


def _examples(run: ComparedRun) -> dict[str, dict[str, str]]:
    """Return example id -> label, prediction and, if saved, text of the test split."""
    table = _read_predictions(run, ["example_id", "label", "prediction", TEXT])
    return {} if table is None else {row.pop("example_id"): row for row in table.to_pylist()}


def _read_predictions(run: ComparedRun, columns: Sequence[str]) -> Any:
    """Return these columns of predictions.parquet for the run's task and the test split; None if there is none."""
    path = Path(run.folder) / PREDICTIONS
    if not path.is_file():
        return None
    import pyarrow as pa  # a slow import, so only if there is something to read
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        available = set(file.schema_arrow.names)
        if not {"task", "split", "label", "prediction"} <= available:
            return None
        table = file.read(columns=["task", "split", *(name for name in columns if name in available)])
    except pa.ArrowException:  # a truncated file, as of a full disk; the metrics are in the record anyway
        return None
    table = table.filter(pc.and_(pc.equal(table["task"], run.record.task), pc.equal(table["split"], "test")))
    strings = all(pa.types.is_string(table.schema.field(name).type) for name in ("label", "prediction"))
    return table.select([name for name in columns if name in available]) if strings else None
