"""What the tests of a table said, in plain sentences that claim no more than the tests do."""

from collections.abc import Sequence

from ftlab.compare.comparability import differences
from ftlab.compare.comparison import Configuration, Table
from ftlab.compare.formats import metric_scale, share
from ftlab.compare.inference import Contrast, Family
from ftlab.compare.stats import estimate

_NAMED = 3  # rows that a sentence names before it counts the rest


def verdict(table: Table) -> list[str]:
    """Return what was found out, one sentence per item; nothing where nothing was tested."""
    family = table.family
    if family is None or not family.contrasts:
        return []
    tested = [contrast for contrast in family.contrasts if contrast.p is not None and contrast.adjusted is not None]
    alike = [contrast for contrast in tested if not contrast.different(family.alpha)]
    apart = [contrast for contrast in tested if contrast.different(family.alpha)]
    text = [sentence for sentence in (_alike(alike, family), _apart(apart, family)) if sentence]
    if alike and (clause := _cheaper(table, alike, family.reference)):
        text.append(clause)
    if untested := [contrast for contrast in family.contrasts if contrast not in tested]:
        text.append(_untested(untested, family))
    if tested and (of := _scope(tested)):
        text.append(of)
    if len(tested) > 1:
        text.append(f"p values are corrected for {len(tested)} tests (Holm).")
    return text


def p_text(p: float) -> str:
    """Return a p value as papers print it: two digits, and never zero."""
    if p < 0.001:
        return "p < 0.001"
    return f"p = {min(p, 1.0):.{3 if p < 0.0995 else 2}f}"


def _alike(contrasts: Sequence[Contrast], family: Family) -> str:
    if not contrasts:
        return ""
    reference, metric, p = family.reference, f"test {family.column.label}", _range([c.adjusted for c in contrasts])
    if len(contrasts) == 1:
        said = f"{contrasts[0].row} and {reference} are not distinguishable in {metric} ({p})"
    else:
        said = f"{_names([c.row for c in contrasts])} are not distinguishable from {reference} in {metric} ({p})"
    found = [contrast.detectable for contrast in contrasts if contrast.detectable is not None]
    if not found:
        return f"{said}."
    least = f"{max(found):.{metric_scale(found).decimals}f}"
    return f"{said}; a true difference smaller than {least} is likely to go unseen with this much data."


def _apart(contrasts: Sequence[Contrast], family: Family) -> str:
    """Name the rows that were told apart, the largest differences first."""
    if not contrasts:
        return ""
    by_size = sorted(contrasts, key=lambda contrast: -abs(contrast.difference))
    scale = metric_scale([abs(contrast.difference) for contrast in contrasts])
    parts = []
    for contrast in by_size[:_NAMED]:
        word = "higher" if contrast.difference > 0 else "lower"
        by = f"{abs(contrast.difference):.{scale.decimals}f}"
        parts.append(f"{contrast.row} is {by} {word} ({_range([contrast.adjusted])})")
    if (more := len(contrasts) - _NAMED) > 0:
        parts.append(f"{more} more {'differs' if more == 1 else 'differ'} from it")
    return f"In test {family.column.label} against {family.reference}: {', '.join(parts)}."


def _range(ps: Sequence[float | None]) -> str:
    """Return the p values as one, or from the smallest to the largest."""
    known = [p for p in ps if p is not None]
    low, high = p_text(min(known)), p_text(max(known))
    return low if low == high else f"{low} to {high.removeprefix('p = ')}"


def _cheaper(table: Table, alike: Sequence[Contrast], reference: str) -> str:
    """Say what the row that trains least costs, of those that were not told apart, against what it was tested with.

    Times are compared only where no warning would set the two rows apart: another device is another clock.
    """
    rows = {row.label: row for row in table.rows if row.runs[0].trainable is not None}
    others = [rows[contrast.row] for contrast in alike if contrast.row in rows]
    if reference not in rows or not others:
        return ""
    base, by_size = rows[reference], sorted(others, key=_trainable)
    cheap, dear = (by_size[0], base) if _trainable(by_size[0]) < _trainable(base) else (base, by_size[-1])
    parameters = cheap.runs[0].record.parameters
    if parameters is None or not parameters.total or _trainable(cheap) >= _trainable(dear):
        return ""
    said = f"{cheap.label} trains {share(parameters.trainable, parameters.total)} of the parameters"
    seconds, usual = (estimate([run.train_s for run in row.runs]) for row in (cheap, dear))
    if (
        seconds
        and usual
        and seconds.mean
        and usual.mean
        and not differences([(row.label, row.runs) for row in (cheap, dear)])[0]
    ):
        ratio = seconds.mean / usual.mean
        said += f" in {ratio:.2g} {'of' if ratio < 1 else 'times'} {dear.label}'s training time"
    return f"{said}."


def _trainable(row: Configuration) -> float:
    return row.runs[0].trainable or 0.0


def _untested(contrasts: Sequence[Contrast], family: Family) -> str:
    names = _names([contrast.row for contrast in contrasts])
    notes = list(dict.fromkeys(contrast.note.rstrip(".") for contrast in contrasts if contrast.note))
    return f"{names} could not be tested against {family.reference}" + (f": {notes[0]}." if notes else ".")


def _scope(tested: Sequence[Contrast]) -> str:
    """Say what the tests are about, where it is less than a reader would think."""
    single = [contrast for contrast in tested if contrast.scope == "trained models"]
    if not single:
        return ""
    if len(single) == len(tested):
        return (
            "With one seed each, this is about these trained models only: it does not say how the methods would do "
            "with another seed."
        )
    return (
        f"About {_names([c.row for c in single])} it says something of the one trained model only, not of the method."
    )


def _names(rows: Sequence[str]) -> str:
    shown = list(rows) if len(rows) <= _NAMED else [*rows[:_NAMED], f"{len(rows) - _NAMED} more"]
    return " and ".join(part for part in (", ".join(shown[:-1]), shown[-1]) if part)
