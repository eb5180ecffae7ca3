"""Summary of a comparison: title, sentences on runs, seeds, range and warnings, commands and versions."""

from collections import Counter, defaultdict

from ftlab.comparison.formats import metric_scale
from ftlab.comparison.render.findings import findings
from ftlab.comparison.reproduce import typed_commands
from ftlab.comparison.tables import ComparisonTables, Table

_STATUS_TEXT = {"oom": "out of memory", "running": "still running", "timeout": "over its time limit"}


def title(comparison: ComparisonTables) -> str:
    """Return a title such as `lora and full on bbc_news with minilm`."""
    methods = list(dict.fromkeys(run.record.method for run in comparison.runs))
    datasets = list(dict.fromkeys(table.dataset for table in comparison.tables))
    models = list(dict.fromkeys(table.model for table in comparison.tables))
    return f"{_names(methods, 'method')} on {_names(datasets, 'dataset')} with {_names(models, 'model')}"


def summary_sentences(comparison: ComparisonTables) -> list[str]:
    """Return the summary, one sentence per item; with a single table, its findings come first. It names no winner."""
    runs = comparison.runs
    status = Counter(run.record.status for run in runs)
    completed = status.pop("completed", 0)
    parts = [f"{completed} of {len(runs)} {'run' if len(runs) == 1 else 'runs'} completed"]
    parts += [f"{number} {_STATUS_TEXT.get(name, name)}" for name, number in sorted(status.items())]
    sentences = findings(comparison.tables[0]) if len(comparison.tables) == 1 else []
    sentences.append(", ".join(parts) + ".")
    if len(comparison.tables) == 1 and (sentence := _metric_range(comparison.tables[0])):
        sentences.append(sentence)
    if comparison.configurations:
        sentences.append(_seeds(comparison))
    if number := len(comparison.warnings):
        noun, pronoun = ("warning", "it") if number == 1 else ("warnings", "them")
        sentences.append(f"{number} {noun} below: read {pronoun} before the numbers.")
    return sentences


def commands(comparison: ComparisonTables, limit: int = 10) -> list[str]:
    """Return the distinct shell commands that started the runs; above the limit, the last line counts the rest."""
    lines = typed_commands(comparison.runs)
    return lines if len(lines) <= limit else [*lines[:limit], f"# and {len(lines) - limit} more"]


def versions(comparison: ComparisonTables) -> dict[str, str]:
    """Return library -> version, or all its versions if the runs differ."""
    found_versions: dict[str, dict[str, None]] = defaultdict(dict)  # the inner dict is an ordered set
    for run in comparison.runs:
        for name, version in run.record.versions.items():
            found_versions[name][version] = None
    return {name: " and ".join(found_versions[name]) for name in sorted(found_versions)}


def _names(names: list[str], kind: str) -> str:
    """Return up to three names as text, or the number of more names."""
    if len(names) > 3:
        return f"{len(names)} {kind}s"
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def _metric_range(table: Table) -> str | None:
    if not table.columns:
        return None
    column = table.columns[0]
    values = [value.mean for row in table.rows if (value := row.test(column.metric))]
    if len(values) < 2:
        return None
    scale = metric_scale(values)
    low, high = (f"{value:.{scale.decimals}f}" for value in (min(values), max(values)))
    return f"Test {column.label} lies between {low} and {high}."


def _seeds(comparison: ComparisonTables) -> str:
    counts = {len(row.runs) for row in comparison.configurations}
    if counts == {1}:
        return "Each configuration ran with one seed, which cannot separate methods that are near each other."
    several = str(max(counts)) if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
    return f"Each row is the mean over {several} seeds; ± is their sample standard deviation."
