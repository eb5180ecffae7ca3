"""Notes on a sweep before it starts: float ranges with values that nobody typed, equal configurations."""

from collections.abc import Sequence

_DIGITS = 12  # of a number that somebody means; a sum of floats differs from that one in the 16th


def range_notes(job_overrides: Sequence[Sequence[str]], typed: Sequence[str]) -> list[str]:
    """Return a sentence for each setting that a range gives values that nobody would type.

    Hydra adds up the steps of a range in floats: `range(0,0.9,0.3)` has a fourth value, 0.8999999999999999.

    Args:
        job_overrides: of each job, `KEY=VALUE` with one value.
        typed: the command line's, in which a value may be a range.
    """
    swept = {key: text for key, _, text in (override.partition("=") for override in typed) if "range(" in text}
    values: dict[str, dict[str, None]] = {key: {} for key in swept}
    for overrides in job_overrides:
        for key, _, value in (override.partition("=") for override in overrides):
            if key in values:
                values[key][value] = None
    return [
        f"{key}={swept[key]} has {len(of_key)} values in floats: {', '.join(of_key)}; for others, list them"
        for key, of_key in values.items()
        if any(_is_rounding_error(value) for value in of_key)
    ]


def equal_notes(job_overrides: Sequence[Sequence[str]], names: Sequence[str]) -> list[str]:
    """Return a sentence for each configuration that several jobs have: it runs once.

    Args:
        job_overrides: of each job.
        names: of the jobs' folders, equal for equal configurations.
    """
    by_name: dict[str, list[str]] = {}
    for overrides, name in zip(job_overrides, names, strict=True):
        by_name.setdefault(name, []).append(" ".join(_differing(overrides, job_overrides)))
    return [
        f"{' = '.join(unique)} occurs {len(texts)} times: equal configurations run once"
        if (unique := _unique(texts))
        else f"{len(texts)} configurations are equal, and run once"
        for texts in by_name.values()
        if len(texts) > 1
    ]


def _unique(texts: Sequence[str]) -> list[str]:
    return [text for text in dict.fromkeys(texts) if text]


def _differing(overrides: Sequence[str], job_overrides: Sequence[Sequence[str]]) -> list[str]:
    """Return the overrides that not all jobs have."""
    return [text for text in overrides if not all(text in others for others in job_overrides)]


def _is_rounding_error(text: str) -> bool:
    try:
        value = float(text)
    except ValueError:
        return False
    return value != float(f"{value:.{_DIGITS}g}")
