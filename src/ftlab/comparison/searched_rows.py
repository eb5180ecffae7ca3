"""Rows whose learning rate was searched: the rates chosen, and seeds that chose settings and count again."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from ftlab.comparison.formats import format_seeds, name_some
from ftlab.comparison.settings import LEARNING_RATE, determining_settings
from ftlab.comparison.tables import ComparedRun, Configuration, Table
from ftlab.comparison.tuning import Tuning, seconds_text


def search_scope(table: Table) -> str:
    """Return a sentence on what tests of rows with a searched learning rate speak of; empty if none was searched."""
    tuned = [(row, tuning) for row in table.rows if (tuning := row.runs[0].tuning)]
    shared = [row for row, tuning in tuned if tuning.seed is None]
    per_seed = [row for row, tuning in tuned if tuning.seed is not None]
    sentences = []
    if shared:
        names = name_some([f"{row.label} ({_rate(row.runs[0]):g})" for row in shared])
        sentences.append(
            f"This holds at the rates that this search chose: {names}. Another search may choose others: "
            "search.per_seed=true is about the methods with their search."
        )
    if per_seed:
        was = "was" if len(per_seed) == 1 else "were"
        sentences.append(
            f"{_names(per_seed)} {was} searched for each seed anew: this holds for the method with its search."
        )
    return " ".join(sentences)


def search_sentences(table: Table) -> list[str]:
    """Return a sentence for each search of the table's learning rates, and one for all seeds of a row together."""
    per_seed: dict[str, dict[int, tuple[ComparedRun, Tuning]]] = defaultdict(dict)
    for run in table.runs:
        if run.tuning and run.tuning.seed is not None:
            per_seed[run.label].setdefault(run.tuning.seed, (run, run.tuning))
    return [
        *(str(tuning) for tuning in table.tunings if tuning.seed is None),
        *(_searches_of_row(label, searches) for label, searches in per_seed.items()),
    ]


def with_reused_seeds_marked(table: Table, trial_hashes: Collection[str]) -> Table:
    """Return the table with a warning about rows in which a seed that chose their settings counts again.

    Args:
        table: to mark.
        trial_hashes: `config_hash` of every trial, which is that of the run with the same settings and seed.
    """
    labels: dict[tuple[int, ...], list[str]] = defaultdict(list)  # by seeds
    for row in table.rows:
        if seeds := tuple(run.record.seed for run in row.runs if run.record.config_hash in trial_hashes):
            labels[seeds].append(row.label)
    for seeds, rows in labels.items():
        effect = "counts again, so its result is" if len(seeds) == 1 else "count again, so their results are"
        table = table.with_warning(
            f"{format_seeds(seeds)} of {name_some(rows)} chose the settings in the search and {effect} "
            "likely too good: run them with seeds that the search did not have.",
            rows,
        )
    return table


def _searches_of_row(label: str, searches: Mapping[int, tuple[ComparedRun, Tuning]]) -> str:
    """Return the searches for the seeds of a row in a sentence.

    Args:
        label: of the row.
        searches: seed -> its run, and its search.
    """
    seeds_by_rate: dict[float, list[int]] = defaultdict(list)
    for seed, (run, _) in searches.items():
        seeds_by_rate[_rate(run)].append(seed)
    tunings = [tuning for _, tuning in searches.values()]
    trials = " or ".join(sorted({str(len(tuning.rates)) for tuning in tunings}))
    chosen = ", ".join(f"{rate:g} ({format_seeds(seeds)})" for rate, seeds in sorted(seeds_by_rate.items()))
    sentence = (
        f"{label}: {trials} learning rates tried for each of {len(tunings)} seeds in "
        f"{seconds_text(sum(tuning.seconds for tuning in tunings))}; chosen: {chosen}."
    )
    if at_edge := sum(bool(tuning.edge) for tuning in tunings):
        sentence += f" {at_edge} of them are at an end of the rates tried: widen method.search.lr."
    return sentence


def _rate(run: ComparedRun) -> float:
    return float(determining_settings(run.record)[LEARNING_RATE])


def _names(rows: Sequence[Configuration]) -> str:
    return name_some([row.label for row in rows])
