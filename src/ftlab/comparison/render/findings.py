"""Findings of a table's statistical tests, as sentences that claim no more than the tests do."""

from collections.abc import Mapping, Sequence

from ftlab.comparison.formats import MAX_NAMES, metric_scale
from ftlab.comparison.render.baseline import baseline_sentence
from ftlab.comparison.render.cost_ratio import cost_sentence
from ftlab.comparison.render.main_table import short_row_names
from ftlab.comparison.render.margin_statements import margin_sentences
from ftlab.comparison.searched_rows import search_scope
from ftlab.comparison.stats.inference import Contrast, Family
from ftlab.comparison.stats.metric_range import largest_difference
from ftlab.comparison.tables import Table


def findings(table: Table) -> list[str]:
    """Return the findings, one sentence per item; empty if nothing was tested."""
    family = table.family
    if family is None:
        return []
    names = short_row_names(table)
    tested = [contrast for contrast in family.contrasts if contrast.p is not None and contrast.adjusted is not None]
    alike = [contrast for contrast in tested if not contrast.is_significant(family.alpha)]
    apart = [contrast for contrast in tested if contrast.is_significant(family.alpha)]
    first = (baseline_sentence(table), *margin_sentences(family.within_margin, f"test {family.column.label}", names))
    second = (_different(apart, family, names), _not_distinguished(alike, family, names))
    sentences = [sentence for sentence in (*first, *second) if sentence]
    if sentence := cost_sentence(table, [contrast.row for contrast in alike], family.reference):
        sentences.append(sentence)
    if untested := [contrast for contrast in family.contrasts if contrast not in tested]:
        sentences.append(_untested(untested, family, names))
    if tested and (sentence := _scope(tested, names)):
        sentences.append(sentence)
    if tested and (scope := search_scope(table)):
        sentences.append(scope)
    if family.num_tests > 1:
        sentences.append(f"p values are corrected for {family.num_tests} tests (Holm).")
    return sentences


def p_text(p: float) -> str:
    """Return a p value as papers print it: two digits, never zero."""
    if p < 0.001:
        return "p < 0.001"
    return f"p = {min(p, 1.0):.{3 if p < 0.0995 else 2}f}"


def _not_distinguished(contrasts: Sequence[Contrast], family: Family, names: Mapping[str, str]) -> str:
    """Return a sentence that names the rows without a detected difference; empty if there are none."""
    if not contrasts:
        return ""
    reference, metric = names[family.reference], f"test {family.column.label}"
    p = _p_range([contrast.adjusted for contrast in contrasts])
    if len(contrasts) == 1:
        sentence = f"{names[contrasts[0].row]} and {reference} are not distinguishable in {metric} ({p})"
    else:
        rows = _names([names[contrast.row] for contrast in contrasts])
        sentence = f"{rows} are not distinguishable from {reference} in {metric} ({p})"
    detectable = {contrast.row: contrast.detectable for contrast in contrasts if contrast.detectable is not None}
    possible = [size for size in detectable.values() if size < largest_difference(family.column.metric)]
    if possible:
        smallest = f"{max(possible):.{metric_scale(possible).decimals}f}"
        sentence += f"; a true difference smaller than {smallest} is likely to go unseen with this much data"
    if blind := [names[row] for row, size in detectable.items() if size not in possible]:
        sentence += f"; of {_names(blind)} any difference at all is, for the seeds scatter too much"
    return f"{sentence}."


def _different(contrasts: Sequence[Contrast], family: Family, names: Mapping[str, str]) -> str:
    """Return a sentence that names the rows with a detected difference, the largest first; empty if there are none."""
    if not contrasts:
        return ""
    by_size = sorted(contrasts, key=lambda contrast: -abs(contrast.difference))
    scale = metric_scale([abs(contrast.difference) for contrast in contrasts])
    parts = []
    for contrast in by_size[:MAX_NAMES]:
        direction = "higher" if contrast.difference > 0 else "lower"
        difference = f"{abs(contrast.difference):.{scale.decimals}f}"
        parts.append(f"{names[contrast.row]} is {difference} {direction} ({_p_range([contrast.adjusted])})")
    if (more := len(contrasts) - MAX_NAMES) > 0:
        parts.append(f"{more} more {'differs' if more == 1 else 'differ'} from it")
    return f"In test {family.column.label} against {names[family.reference]}: {', '.join(parts)}."


def _p_range(p_values: Sequence[float | None]) -> str:
    """Return the range of the p values, as a single one if all print alike."""
    tested = [p for p in p_values if p is not None]
    low, high = p_text(min(tested)), p_text(max(tested))
    return low if low == high else f"{low} to {high.removeprefix('p = ')}"


def _untested(contrasts: Sequence[Contrast], family: Family, names: Mapping[str, str]) -> str:
    rows = _names([names[contrast.row] for contrast in contrasts])
    notes = list(dict.fromkeys(contrast.note.rstrip(".") for contrast in contrasts if contrast.note))
    return f"{rows} could not be tested against {names[family.reference]}" + (f": {notes[0]}." if notes else ".")


def _scope(tested: Sequence[Contrast], names: Mapping[str, str]) -> str:
    """Return a sentence on the tests that are about single trained models, not about methods; empty if none is."""
    single = [contrast for contrast in tested if contrast.scope == "trained models"]
    if not single:
        return ""
    if len(single) == len(tested):
        return (
            "With one seed each, this is about these trained models only: it does not say how the methods would do "
            "with another seed."
        )
    rows = _names([names[contrast.row] for contrast in single])
    return f"About {rows} it says something of the one trained model only, not of the method."


def _names(rows: Sequence[str]) -> str:
    shown = list(rows) if len(rows) <= MAX_NAMES else [*rows[:MAX_NAMES], f"{len(rows) - MAX_NAMES} more"]
    return " and ".join(part for part in (", ".join(shown[:-1]), shown[-1]) if part)
