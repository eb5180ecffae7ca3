"""Plausibility checks of labels: missing values, spellings of one label, floats, free text."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?")
_WHOLE_FLOAT = re.compile(r"-?\d+\.0")
# What other programs write for a missing value: never a class.
_MISSING = frozenset({"nan", "null", "n/a", "<na>", "#n/a", "#na", "nat", "-100", "-999", "-9999"})
_MISSING_AS_WRITTEN = frozenset({"None", "NA", "NULL"})  # by Python, R and SQL; "none" may be a class
# Often a class of its own, and often a missing value: suspicious only if it is rare.
_MAYBE_MISSING = frozenset(
    {
        *("none", "na", "unknown", "undefined", "unlabeled", "unlabelled", "missing", "todo", "tbd", "no label"),
        *("?", "-", "--", "_", ".", "未知", "无", "空"),
    }
)
_SEPARATORS = ("|", ";", ",", "/", "+", "&", " ")  # between labels in one cell
_RARE = 0.05  # fraction of the rows
_MIN_ROWS = 50  # below, almost any number of labels is plausible
_MAX_NAMED = 3  # labels that a sentence names


def label_doubts(counts: Mapping[str, int], column: str, counted: str = "rows") -> list[str]:
    """Return a sentence with a remedy for each thing that makes these labels implausible; mostly none.

    Args:
        counts: label -> number of rows (or words, entities) that have it.
        column: setting of the column, e.g. `dataset.columns.label`.
        counted: what is counted.
    """
    doubts = [*_missing_values(counts, counted), *_spellings(counts, counted), *_floats(counts, column)]
    return [*doubts, *_brackets(counts), *_combinations(counts)]


def free_text_doubts(counts: Mapping[str, int], column: str) -> list[str]:
    """Return a sentence if the labels are almost as many as the rows, or a scale of numbers; see `label_doubts`."""
    rows, labels = sum(counts.values()), len(counts)
    if rows < _MIN_ROWS:
        return []
    decimals = [label for label in counts if _NUMBER.fullmatch(label) and not float(label).is_integer()]
    if labels >= 20 and len(decimals) > labels / 2:
        return [
            f"The {labels} labels of {column} are numbers such as {named(decimals)}, and each is learned as a class "
            "of its own: dataset=regression_files learns them as numbers."
        ]
    if labels <= rows / 2:
        return []
    return [
        f"The {rows} training rows have {labels} different labels ({named(counts)}), as ids or free text have: is "
        f"{column} the right column?"
    ]


def named(labels: Iterable[str]) -> str:
    """Return the first few of these labels, for a sentence."""
    names = [*labels]
    return f"{', '.join(map(repr, names[:_MAX_NAMED]))}{', …' if len(names) > _MAX_NAMED else ''}"


def _missing_values(counts: Mapping[str, int], counted: str) -> list[str]:
    total = sum(counts.values())
    codes = [label for label in counts if _is_missing(label, counts, total)]
    return [
        f"The label {code!r} of {counts[code]} of {total} {counted} looks like a code for a missing value and is "
        "learned like the others: correct or remove these, or rename it if it is a label."
        for code in codes[:_MAX_NAMED]
    ]


def _is_missing(label: str, counts: Mapping[str, int], total: int) -> bool:
    name = unicodedata.normalize("NFKC", label).strip().casefold()
    if name in _MISSING or label.strip() in _MISSING_AS_WRITTEN or (name == "-1" and _marks_no_class(counts)):
        return True
    # among numbers, a word such as NA is no class however frequent
    alone = all(other == label or _NUMBER.fullmatch(other) for other in counts) and len(counts) > 2
    return name in _MAYBE_MISSING and (alone or counts[label] < _RARE * total)


def _marks_no_class(counts: Mapping[str, int]) -> bool:
    """Return whether -1 is the only negative label beside ids from 0 to 2 or more; -1, 0, 1 are a scale."""
    numbers = [float(label) for label in counts if _NUMBER.fullmatch(label)]
    return len(numbers) == len(counts) and sorted(numbers)[:2] == [-1, 0] and max(numbers) >= 2


def _spellings(counts: Mapping[str, int], counted: str) -> list[str]:
    groups = defaultdict[str, list[str]](list)
    for label in counts:
        groups[_plain(label)].append(label)
    twice = [group for group in groups.values() if len(group) > 1]
    if not twice:
        return []
    rest = f", and {len(twice) - 1} more such" if len(twice) > 1 else ""
    spellings = _list_counts(twice[0], counts, counted)
    return [
        f"The labels {spellings} differ only in case, white space, width or notation and are learned as different "
        f"ones{rest}: write them alike."
    ]


def _list_counts(labels: Sequence[str], counts: Mapping[str, int], counted: str) -> str:
    shown = [f"{label!r} ({counts[label]} {counted})" for label in labels[:_MAX_NAMED]]
    return " and ".join(shown)


def _plain(label: str) -> str:
    """Return what labels have in common that a person takes for the same."""
    text = unicodedata.normalize("NFKC", label)
    text = "".join(character for character in text if unicodedata.category(character) != "Cf")  # zero-width space …
    text = " ".join(text.replace("_", " ").strip("'\" ").split()) or label
    return f"{float(text):g}" if _NUMBER.fullmatch(text) else text.casefold()


def _combinations(counts: Mapping[str, int]) -> list[str]:
    """Return a sentence if labels are combinations of others, as in a column with several labels a row."""
    for separator in _SEPARATORS:
        combinations = []
        for label in counts:
            parts = [part.strip() for part in label.split(separator)]
            if len(parts) > 1 and all(part and part in counts for part in parts):
                combinations.append(label)
        if combinations:
            return [
                f"The labels {named(combinations)} are combinations of others, each learned as a label of its own: "
                f"dataset=multilabel_files 'dataset.label_separator=\"{separator}\"' learns them one by one."
            ]
    return []


def _brackets(counts: Mapping[str, int]) -> list[str]:
    """Return a sentence if labels begin or end as lists do whose items have no quotes, which are not read as lists."""
    pieces = [label for label in counts if label[:1] == "[" or label[-1:] == "]"]
    if not pieces:
        return []
    return [
        f"The labels {named(pieces)} look like lists, or pieces of them, and are learned as they are: write lists with "
        'quotes, as ["a", "b"], or remove the brackets.'
    ]


def labels_of_all(counts: Mapping[str, int], rows: int) -> list[str]:
    """Return a sentence if every row has a label, of which nothing can be learned then.

    Args:
        counts: label -> number of rows that have it.
        rows: number of rows.
    """
    everywhere = [label for label, count in counts.items() if count == rows >= _MIN_ROWS]
    if not everywhere:
        return []
    return [
        f"All {rows} training rows have the {'label' if len(everywhere) == 1 else 'labels'} {named(everywhere)}: check "
        "that dataset.columns.labels holds what each row has, and not all that there are."
    ]


def _floats(counts: Mapping[str, int], column: str) -> list[str]:
    if len(counts) < 2 or not all(_WHOLE_FLOAT.fullmatch(label) for label in counts):
        return []
    return [
        f"The labels {named(counts)} are whole numbers written as decimals, as pandas writes a column with gaps: check "
        f"that no row of {column} lost its label, and write them without the decimals, or as names."
    ]
