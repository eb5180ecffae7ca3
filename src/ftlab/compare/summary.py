"""What was compared, in plain sentences: how many runs, how many seeds, how far apart, how comparable."""

from collections import Counter, defaultdict

from ftlab.compare.comparison import Comparison, Table
from ftlab.compare.formats import metric_scale
from ftlab.compare.reproduce import typed
from ftlab.compare.stats import estimate
from ftlab.compare.verdict import verdict

_WORDS = {"oom": "out of memory", "running": "still running", "timeout": "over its time limit"}


def title(comparison: Comparison) -> str:
    """Return a title such as `lora and full on bbc_news with minilm`."""
    methods = list(dict.fromkeys(run.record.method for run in comparison.rows))
    datasets = list(dict.fromkeys(table.dataset for table in comparison.tables))
    models = list(dict.fromkeys(table.model for table in comparison.tables))
    return f"{_some(methods, 'method')} on {_some(datasets, 'dataset')} with {_some(models, 'model')}"


def sentences(comparison: Comparison) -> list[str]:
    """Return the summary, one sentence per item: what the tests found first, if there is one table; no winner."""
    runs = comparison.rows
    status = Counter(run.record.status for run in runs)
    done = status.pop("completed", 0)
    parts = [f"{done} of {len(runs)} {'run' if len(runs) == 1 else 'runs'} completed"]
    parts += [f"{number} {_WORDS.get(name, name)}" for name, number in sorted(status.items())]
    text = verdict(comparison.tables[0]) if len(comparison.tables) == 1 else []
    text.append(", ".join(parts) + ".")
    if len(comparison.tables) == 1 and (spread := _range(comparison.tables[0])):
        text.append(spread)
    if comparison.groups:
        text.append(_seeds(comparison))
    if number := len(comparison.warnings):
        some, them = ("warning", "it") if number == 1 else ("warnings", "them")
        text.append(f"{number} {some} below: read {them} before the numbers.")
    return text


def commands(comparison: Comparison, limit: int = 10) -> list[str]:
    """Return the distinct commands that made the runs, ready for a shell; the last line may count the rest."""
    lines = typed(comparison.rows)
    return lines if len(lines) <= limit else [*lines[:limit], f"# and {len(lines) - limit} more"]


def versions(comparison: Comparison) -> dict[str, str]:
    """Return the library versions of all runs; several where the runs differ."""
    seen: dict[str, dict[str, None]] = defaultdict(dict)
    for run in comparison.rows:
        for name, version in run.record.versions.items():
            seen[name][version] = None
    return {name: " and ".join(seen[name]) for name in sorted(seen)}


def _some(names: list[str], kind: str) -> str:
    if len(names) > 3:
        return f"{len(names)} {kind}s"
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def _range(table: Table) -> str | None:
    if not table.columns:
        return None
    column = table.columns[0]
    values = [value.mean for row in table.rows if (value := estimate([run.test(column.metric) for run in row.runs]))]
    if len(values) < 2:
        return None
    scale = metric_scale(values)
    low, high = (f"{value:.{scale.decimals}f}" for value in (min(values), max(values)))
    return f"Test {column.label} lies between {low} and {high}."


def _seeds(comparison: Comparison) -> str:
    counts = {len(row.runs) for row in comparison.groups}
    if counts == {1}:
        return "Each configuration ran with one seed, which cannot separate methods that are near each other."
    several = str(max(counts)) if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
    return f"Each row is the mean over {several} seeds; ± is their sample standard deviation."
