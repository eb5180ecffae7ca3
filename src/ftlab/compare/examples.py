"""What single test examples say, from predictions.parquet: counts of label against prediction, and disagreements."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ftlab.compare.comparison import Configuration, Run, Table
from ftlab.record.folder import PREDICTIONS

TEXT = "text"  # column with the beginning of the example; not every task writes it
_CLASSES = 40  # with more, no matrix: nobody could read it
_CELLS = 60_000  # of all matrices of a table together: keeps a report of 200 runs small
_ROWS = 12  # whose predictions are set side by side
_EXAMPLES = 30  # on which rows disagree, shown


def classes(table: Table) -> dict[str, Any] | None:
    """Return the confusion matrix of each row, its seeds added up; None where the table's task is no classification.

    Returns:
        `labels`, and `rows`: name, method and `counts`, (labels, predictions) in the order of `labels`. A table of more
        than 40 classes has none, and one of very many rows has those of the first.
    """
    counted = []
    for row in table.rows:
        runs = [run for run in row.runs if run.record.task == "classification"]
        counts = sum((_counts(run) for run in runs), Counter[tuple[str, str]]())
        if counts:
            counted.append((row, counts))
    names = dict.fromkeys(label for row, _ in counted for run in row.runs for label in _labels(run))
    labels = list(names) or sorted({name for _, counts in counted for pair in counts for name in pair})
    if not labels or len(labels) > _CLASSES:
        return None
    most = _CELLS // len(labels) ** 2
    return {
        "labels": labels,
        "rows": [
            {
                "label": row.label,
                "method": row.method,
                "seeds": len(row.runs),
                "counts": [[counts[label, guess] for guess in labels] for label in labels],
            }
            for row, counts in counted[:most]
        ],
    }


def disagreements(table: Table) -> dict[str, Any] | None:
    """Return the test examples that the rows answer most differently; None where there is nothing to set side by side.

    One run per row is read, of the smallest seed that all of them have, and of twelve rows at most: one of each method
    before other settings of a method.

    Returns:
        `seed`, `rows` (names), `compared` and `differing` (numbers of examples), and `examples`: id, label, text (None
        where it was not kept) and `answers`, prediction -> names of the rows that gave it, most given first.
    """
    rows = [row for row in table.rows if row.runs[0].record.task == "classification"]
    first = list({row.method: row for row in reversed(rows)}.values())[::-1]
    rows = [*first, *(row for row in rows if row not in first)][:_ROWS]
    common = set.intersection(*({run.record.seed for run in row.runs} for row in rows)) if rows else set()
    if len(rows) < 2 or not common:
        return None
    seed = min(common)
    read = {row.label: found for row in rows if (found := _answers(_of_seed(row, seed)))}
    if len(read) < 2:
        return None
    ids = set.intersection(*(set(found) for found in read.values()))
    differing = []
    for example in ids:
        answers: dict[str, list[str]] = defaultdict(list)
        for name, found in read.items():
            answers[found[example]["prediction"]].append(name)
        if len(answers) > 1:
            differing.append((max(len(names) for names in answers.values()), example, answers))
    differing.sort(key=lambda item: item[:2])
    one = max(read.values(), key=lambda found: TEXT in next(iter(found.values())))  # not every row shows a text
    return {
        "seed": seed,
        "rows": list(read),
        "compared": len(ids),
        "differing": len(differing),
        "examples": [
            {
                "id": example,
                "label": one[example]["label"],
                "text": one[example].get(TEXT),
                "answers": dict(sorted(answers.items(), key=lambda item: -len(item[1]))),
            }
            for _, example, answers in differing[:_EXAMPLES]
        ],
    }


def _of_seed(row: Configuration, seed: int) -> Run:
    return next(run for run in row.runs if run.record.seed == seed)


def _labels(run: Run) -> list[str]:
    return run.record.data.labels if run.record.data else []


def _counts(run: Run) -> Counter[tuple[str, str]]:
    table = _read(run, ["label", "prediction"])
    if table is None:
        return Counter()
    counted = table.group_by(["label", "prediction"]).aggregate([([], "count_all")]).to_pylist()
    return Counter({(row["label"], row["prediction"]): row["count_all"] for row in counted})


def _answers(run: Run) -> dict[str, dict[str, str]]:
    """Return label, prediction and, where kept, text of each example of the test split, by its id."""
    table = _read(run, ["example_id", "label", "prediction", TEXT])
    return {} if table is None else {row.pop("example_id"): row for row in table.to_pylist()}


def _read(run: Run, columns: Sequence[str]) -> Any:
    """Return these columns of the test split of the run's own task; None where the run left no single predictions."""
    path = Path(run.folder) / PREDICTIONS
    if not path.is_file():
        return None
    import pyarrow as pa  # slow: only where there is something to read
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        there = set(file.schema_arrow.names)
        if not {"task", "split", "label", "prediction"} <= there:
            return None
        table = file.read(columns=["task", "split", *(name for name in columns if name in there)])
    except pa.ArrowException:  # cut short when the disk was full; the record has the metrics all the same
        return None
    table = table.filter(pc.and_(pc.equal(table["task"], run.record.task), pc.equal(table["split"], "test")))
    strings = all(pa.types.is_string(table.schema.field(name).type) for name in ("label", "prediction"))
    return table.select([name for name in columns if name in there]) if strings else None
