"""What was examined of a table's rows beside their test: perturbed texts, forgetting, fit, the base, slices."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from ftlab.compare.comparison import Configuration, Run, Table
from ftlab.compare.formats import MISSING, metric_scale
from ftlab.compare.sheet import Cell, measured
from ftlab.compare.side import Side, side
from ftlab.record import PERTURBATIONS, Perturbed

_SLICES = 8  # columns of slices that are still read
_WHEN = ("before", "after")


def examined(table: Table) -> Side | None:
    """Return what perturbations cost, and what forgetting, fit and the base's check say; None: nothing was examined."""
    rows = [row for row in table.rows if any(run.record.robustness or adapter_off(run) for run in row.runs)]
    runs = [run for row in rows for run in row.runs]
    label = table.columns[0].label if table.columns else ""
    tried = [name for name in PERTURBATIONS if any(drop(run, name) is not None for run in runs)]
    seen = [name for name in tried if any(one.seen for run in runs if (one := _perturbed(run, name)))]
    columns = [
        measured(f"drop: {name.replace('_', ' ')}", rows, partial(drop, name=name), metric_scale) for name in seen
    ]
    if any(general_loss(run, "after") is not None for run in runs):
        columns += [
            measured(f"general loss {when}", rows, partial(general_loss, when=when), metric_scale) for when in _WHEN
        ]
    if any(fit(run) for run in runs):
        columns.append(("fit", _counted(rows, fit)))
    if any(adapter_off(run) for run in runs):
        columns.append(("adapter off is the base", _counted(rows, adapter_off)))
    if not columns:
        return None
    notes = []
    if seen:
        sizes = sorted({found.rows for run in runs if (found := run.record.robustness) and found.perturbations})
        notes.append(
            f"Drop: how much worse test {label} is on {' or '.join(f'{n:,}' for n in sizes)} of the test rows when "
            "every text is changed in that way; below 0: better. ± is over the seeds: how the rows were drawn is not "
            "in it."
        )
    if unseen := [name for name in tried if name not in seen]:
        notes.append(f"No model here reads other tokens after {' or '.join(unseen)}: nothing can change.")
    if any(heading.startswith("general") for heading, _ in columns):
        notes.append("General loss: in nats per token, on text that was not trained on, before training and after.")
    if any(heading == "fit" for heading, _ in columns):
        notes.append("Fit compares the losses on training and validation rows.")
    return side("Beyond the test", rows, columns, " ".join(notes))


def sliced(table: Table) -> Side | None:
    """Return the first metric per part of the test split; None where no run has parts with that metric."""
    if not table.columns:
        return None
    column = table.columns[0]
    sizes: dict[tuple[str, str], set[int]] = {}  # part -> its rows: a number for each state of the data
    for run in (run for row in table.rows for run in row.runs):
        for one in run.record.robustness.slices if run.record.robustness else ():
            if column.metric in one.metrics:
                sizes.setdefault((one.by, one.value), set()).add(one.n)
    if not sizes:
        return None
    rows = [row for row in table.rows if any(run.record.robustness for run in row.runs)]
    columns = []
    for part in list(sizes)[:_SLICES]:
        heading = f"{part[0]}: {part[1]}, n = {' or '.join(f'{n:,}' for n in sorted(sizes[part]))}"
        columns.append(measured(heading, rows, partial(_slice, metric=column.metric, part=part), metric_scale))
    note = (
        f"Test {column.label}, mean ± standard deviation over the seeds. A part has fewer examples than the split, so "
        "its number is less sure."
    )
    if len(sizes) > len(columns):
        note += f" The first {len(columns)} of {len(sizes)} parts; all are in record.json."
    return side("By part of the test split", rows, columns, note)


def drop(run: Run, name: str) -> float | None:
    """Return how much worse the run's first headline metric is after a perturbation; None: not measured."""
    columns, found = run.record.columns, _perturbed(run, name)
    return found.drop.get(columns[0].metric) if found and columns else None


def general_loss(run: Run, when: str) -> float | None:
    """Return the loss on general text `before` training, or `after` it; None: not measured."""
    found = run.record.robustness.forgetting if run.record.robustness else None
    if found is None:
        return None
    metric = (found.before if when == "before" else found.after).get("loss")
    return metric.value if metric else None


def fit(run: Run) -> str | None:
    """Return the verdict on over- and underfitting; None: not examined."""
    found = run.record.robustness.fit if run.record.robustness else None
    return found.verdict if found else None


def counts(row: Configuration, read: Callable[[Run], str | None]) -> dict[str, int]:
    """Return how many of a row's runs have each verdict, the most frequent first."""
    return dict(Counter(found for run in row.runs if (found := read(run))).most_common())


def adapter_off(run: Run) -> str | None:
    """Return how the check ended that the model without its adapter is the base; None: not checked."""
    check = run.record.checks.get("adapter_off")
    return check.status if check else None


def _perturbed(run: Run, name: str) -> Perturbed | None:
    return run.record.robustness.perturbations.get(name) if run.record.robustness else None


def _slice(run: Run, metric: str, part: tuple[str, str]) -> float | None:
    slices = run.record.robustness.slices if run.record.robustness else []
    found = next((one for one in slices if (one.by, one.value) == part), None)
    value = found.metrics.get(metric) if found else None
    return value.value if value else None


def _counted(rows: Sequence[Configuration], read: Callable[[Run], str | None]) -> list[Cell]:
    """Return the verdicts of each row's runs: one word where they agree, else with their numbers."""
    cells = []
    for row in rows:
        found = counts(row, read)
        text = (
            ", ".join(f"{number} {word}" for word, number in found.items())
            if len(found) > 1
            else next(iter(found), MISSING)
        )
        cells.append(Cell(text))
    return cells
