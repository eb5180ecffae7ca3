"""Extra tables for robustness: perturbed texts, forgetting, overfitting, the adapter-off check, test-split slices."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from ftlab.comparison.formats import MISSING, metric_scale
from ftlab.comparison.render.extra_table import ExtraTable, extra_table
from ftlab.comparison.render.main_table import Cell, metric_column
from ftlab.comparison.tables import ComparedRun, Configuration, Table
from ftlab.record import PERTURBATIONS, Perturbed

_MAX_SLICES = 8  # a table with more columns is hard to read
_WHEN = ("before", "after")


def robustness_table(table: Table) -> ExtraTable | None:
    """Return the drops under perturbations, forgetting, over- and underfitting, and the adapter-off check.

    None if no run has any of these.
    """
    rows = [row for row in table.rows if any(run.record.robustness or adapter_off_status(run) for run in row.runs)]
    runs = [run for row in rows for run in row.runs]
    label = table.columns[0].label if table.columns else ""
    measured = [name for name in PERTURBATIONS if any(perturbation_drop(run, name) is not None for run in runs)]
    # perturbations after which some model reads other tokens; an uncased tokenizer ignores changes of the case
    effective = [name for name in measured if any((result := _perturbed(run, name)) and result.seen for run in runs)]
    columns = [
        metric_column(f"drop: {name.replace('_', ' ')}", rows, partial(perturbation_drop, name=name), metric_scale)
        for name in effective
    ]
    if any(general_loss(run, "after") is not None for run in runs):
        columns += [
            metric_column(f"general loss {when}", rows, partial(general_loss, when=when), metric_scale)
            for when in _WHEN
        ]
    if any(fit_verdict(run) not in (None, "unknown") for run in runs):
        columns.append(("fit", _outcome_cells(rows, fit_verdict)))
    if any(adapter_off_status(run) for run in runs):
        columns.append(("adapter off is the base", _outcome_cells(rows, adapter_off_status)))
    if not columns:
        return None
    notes = []
    if effective:
        results = [run.record.robustness for run in runs if run.record.robustness]
        sizes = sorted({result.rows for result in results if result.perturbations})
        notes.append(
            f"Drop: how much worse test {label} is on {' or '.join(f'{n:,}' for n in sizes)} of the test rows when "
            "every text is changed in that way; below 0: better. ± is over the seeds: how the rows were drawn is not "
            "in it."
        )
    if ineffective := [name for name in measured if name not in effective]:
        notes.append(f"No model here reads other tokens after {' or '.join(ineffective)}: nothing can change.")
    if any(heading.startswith("general") for heading, _ in columns):
        notes.append("General loss: in nats per token, on text that was not trained on, before training and after.")
    if any(heading == "fit" for heading, _ in columns):
        notes.append("Fit compares the losses on training and validation rows.")
    return extra_table("Beyond the test", rows, columns, " ".join(notes))


def slice_table(table: Table) -> ExtraTable | None:
    """Return the first metric per slice of the test split; None if no run has slices with that metric."""
    if not table.columns:
        return None
    column = table.columns[0]
    # (by, value) of a slice -> its numbers of rows, several if the runs had different versions of the data
    sizes: dict[tuple[str, str], set[int]] = {}
    for run in (run for row in table.rows for run in row.runs):
        for part in run.record.robustness.slices if run.record.robustness else ():
            if column.metric in part.metrics:
                sizes.setdefault((part.by, part.value), set()).add(part.n)
    if not sizes:
        return None
    rows = [row for row in table.rows if any(run.record.robustness for run in row.runs)]
    columns = []
    for by, value in list(sizes)[:_MAX_SLICES]:
        heading = f"{by}: {value}, n = {' or '.join(f'{n:,}' for n in sorted(sizes[by, value]))}"
        read = partial(_slice_metric, metric=column.metric, by=by, value=value)
        columns.append(metric_column(heading, rows, read, metric_scale))
    note = (
        f"Test {column.label}, mean ± standard deviation over the seeds. A part has fewer examples than the split, so "
        "its number is less sure."
    )
    if len(sizes) > len(columns):
        note += f" The first {len(columns)} of {len(sizes)} parts; all are in record.json."
    return extra_table("By part of the test split", rows, columns, note)


def perturbation_drop(run: ComparedRun, name: str) -> float | None:
    """Return how much worse the run's first headline metric is under a perturbation; None if not measured."""
    columns, perturbed = run.record.columns, _perturbed(run, name)
    return perturbed.drop.get(columns[0].metric) if perturbed and columns else None


def general_loss(run: ComparedRun, when: str) -> float | None:
    """Return the loss on general text `before` or `after` training; None if not measured."""
    forgetting = run.record.robustness.forgetting if run.record.robustness else None
    if forgetting is None:
        return None
    metric = (forgetting.before if when == "before" else forgetting.after).get("loss")
    return metric.value if metric else None


def fit_verdict(run: ComparedRun) -> str | None:
    """Return the verdict on over- and underfitting; None if not examined."""
    fit = run.record.robustness.fit if run.record.robustness else None
    return fit.verdict if fit else None


def outcome_counts(row: Configuration, read: Callable[[ComparedRun], str | None]) -> dict[str, int]:
    """Return outcome -> number of the row's runs that have it, the most frequent first."""
    return dict(Counter(outcome for run in row.runs if (outcome := read(run))).most_common())


def adapter_off_status(run: ComparedRun) -> str | None:
    """Return the status of the check that the model without its adapter equals the base; None if not checked."""
    check = run.record.checks.get("adapter_off")
    return check.status if check else None


def _perturbed(run: ComparedRun, name: str) -> Perturbed | None:
    return run.record.robustness.perturbations.get(name) if run.record.robustness else None


def _slice_metric(run: ComparedRun, metric: str, by: str, value: str) -> float | None:
    slices = run.record.robustness.slices if run.record.robustness else []
    match = next((part for part in slices if (part.by, part.value) == (by, value)), None)
    result = match.metrics.get(metric) if match else None
    return result.value if result else None


def _outcome_cells(rows: Sequence[Configuration], read: Callable[[ComparedRun], str | None]) -> list[Cell]:
    """Return a cell per row: its outcome if all runs have the same, otherwise each outcome with its number of runs."""
    cells = []
    for row in rows:
        counts = outcome_counts(row, read)
        if len(counts) > 1:
            cells.append(Cell(", ".join(f"{number} {outcome}" for outcome, number in counts.items())))
        else:
            cells.append(Cell(next(iter(counts), MISSING)))
    return cells
