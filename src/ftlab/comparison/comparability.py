"""Comparability of the rows of a table, which should differ in nothing but the method.

Every other difference is marked. A test of two rows is refused if their difference makes it meaningless, unless the
user allows that difference.
"""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from textwrap import shorten

from ftlab.comparison.formats import name_some
from ftlab.comparison.settings import FlatConfig, content_hashes, determining_settings
from ftlab.comparison.tables import ComparedRun, Configuration
from ftlab.core.errors import UserError, did_you_mean

_LIBRARIES = ("torch", "transformers", "peft")
_DEFAULT_LOSSES = ("default", "cross_entropy", "mse")  # a task accepts only its own of these
_LOSS_OPTIONS = ("label_smoothing", "class_weights", "gamma", "contrastive")
_PROMPT_AND_OUTPUT_SETTINGS = tuple(  # how a row becomes a prompt, and which outputs are evaluated
    f"dataset.{key}"
    for key in ("template", "system", "prefix", "loss_on", "truncation", "generate.rows", "generate.max_new_tokens")
)
# Word of --allow -> conditions in which rows must agree to be tested, unless it allows them to differ.
MUST_MATCH: dict[str, tuple[str, ...]] = {
    "data": ("data (hash)",),  # of the rows of every split, so of the split too
    "base": ("base weights (hash)", "dtype of the base model"),
    "batch": ("examples per optimizer step",),
    "length": ("max_length",),
    "budget": ("budget",),
    "tokens": (),  # seen in training: compared with a tolerance, see `_token_difference`
    "precision": ("precision",),
    "device": ("device",),
    "versions": tuple(f"{name} version" for name in _LIBRARIES),
}
ALLOW_ALL = "all"
UNFINISHED = "unfinished"  # another word of --allow: tests before all declared runs are in, see `looks`
_TOKEN_TOLERANCE = 0.02  # relative difference in training tokens that rows of the same budget may have
_MAX_CHARACTERS = 40  # characters of a template


def _budget(settings: FlatConfig) -> str | None:
    for unit in ("steps", "tokens", "seconds", "flops", "epochs"):
        if (amount := settings.get(f"budget.{unit}")) is not None:
            return f"{amount:,} {unit if amount != 1 or unit == 'flops' else unit[:-1]}"
    return None


def _loss(settings: FlatConfig) -> str | None:
    parts = [f"{part}={settings[f'loss.{part}']}" for part in _LOSS_OPTIONS if settings.get(f"loss.{part}")]
    if "loss.name" not in settings:
        return None
    name = settings["loss.name"]
    return " ".join(["the task's own" if name in _DEFAULT_LOSSES else name, *parts])


def _shortened(settings: FlatConfig, key: str) -> str | None:
    """Return a setting that may be a long text, shortened; None if the configuration lacks it."""
    if key not in settings:
        return None
    text = str("unset" if settings[key] is None else settings[key])
    if text == shorten(text, _MAX_CHARACTERS):
        return text
    return f"{shorten(text, _MAX_CHARACTERS)} ({hashlib.sha256(text.encode()).hexdigest()[:8]})"


def _conditions(run: ComparedRun) -> dict[str, str | None]:
    """Return the conditions that should be equal in rows that are compared; None if the record lacks one."""
    record, settings, hashes = run.record, determining_settings(run.record), content_hashes(run.record)
    hardware = record.hardware
    device = None
    if hardware is not None:
        processor = hardware.cpu if hardware.accelerator == "cpu" else hardware.device
        device = processor if hardware.devices == 1 else f"{hardware.devices} × {processor}"
    tokens = settings.get("speed.micro_batch_tokens", "no limit")
    conditions = {
        "data (hash)": hashes["data"][:12] if "data" in hashes else None,
        "base weights (hash)": hashes["base"][:12] if "base" in hashes else None,
        "dtype of the base model": settings.get("model.dtype"),
        "max_length": settings.get("budget.max_length"),
        "examples per optimizer step": settings.get("optim.batch_size"),
        "forward passes per optimizer step": settings.get("optim.accumulate"),
        "most tokens of a forward pass": tokens if run.trainable != 0 else None,
        "optim.group_by_length": settings.get("optim.group_by_length"),  # packing changes no step
        "loss": _loss(settings),
        **{key: _shortened(settings, key) for key in _PROMPT_AND_OUTPUT_SETTINGS},
        "budget": _budget(settings),
        "precision": hardware.precision if hardware else None,
        "device": device,
        "CPU threads": settings.get("hardware.threads") or (hardware.cores if hardware else None),
        **{f"{name} version": record.versions.get(name) for name in _LIBRARIES},
    }
    return {name: None if value is None else str(value) for name, value in conditions.items()}


def condition_differences(rows: Sequence[tuple[str, Sequence[ComparedRun]]]) -> tuple[list[str], list[tuple[int, ...]]]:
    """Find the conditions, other than the method, in which the rows of a table differ.

    Args:
        rows: name and runs of each row.

    Returns:
        Warnings, and per row the numbers (from 1) of the warnings that apply to it. A value that more than half of all
        rows have is the norm, and its rows are not marked.
    """
    conditions = [[_conditions(run) for run in runs] for _, runs in rows]
    warnings: list[str] = []
    marks: list[list[int]] = [[] for _ in rows]
    names = list(conditions[0][0]) if conditions else []
    for name in names:
        rows_by_value: dict[str, list[int]] = defaultdict(list)
        for index, runs in enumerate(conditions):
            for value in dict.fromkeys(run[name] for run in runs):
                if value is not None:
                    rows_by_value[value].append(index)
        if len(rows_by_value) < 2:
            continue
        by_size = sorted(rows_by_value.items(), key=lambda item: -len(item[1]))
        values = "; ".join(
            f"{value} ({name_some([rows[index][0] for index in indices])})" for value, indices in by_size
        )
        warnings.append(f"the rows differ in {name}: {values}.")
        norm = by_size[0][0] if 2 * len(by_size[0][1]) > len(rows) else None
        for index in sorted({i for value, indices in by_size if value != norm for i in indices}):
            marks[index].append(len(warnings))
    return warnings, [tuple(numbers) for numbers in marks]


@dataclass(frozen=True)
class Refusal:
    """Reason why a row is not tested against the reference, and the word of `MUST_MATCH` that allows the test."""

    word: str
    reason: str


def parse_allowed(words: Iterable[str], others: Collection[str] = ()) -> frozenset[str]:
    """Return what may differ, from words or comma-separated lists of words.

    Args:
        words: as typed.
        others: words that a command knows beyond those of `MUST_MATCH`.

    Raises:
        UserError: a word is not known.
    """
    allow = frozenset(word.strip() for text in words for word in text.split(","))
    choices = (ALLOW_ALL, UNFINISHED, *MUST_MATCH, *others)
    for word in allow.difference(choices):
        raise UserError(f"--allow {word} is not known: {did_you_mean(word, choices)}.")
    return allow


def refusals(
    rows: Sequence[Configuration], reference: Configuration, allow: Collection[str] = ()
) -> dict[str, tuple[Refusal, ...]]:
    """Return why rows must not be tested against the reference.

    Args:
        rows: of one table.
        reference: one of them.
        allow: words of `MUST_MATCH`, whose conditions may differ; `all` allows every one.

    Returns:
        Label of a row -> its differences from the reference; only rows that must not be tested.
    """
    if ALLOW_ALL in allow:
        return {}
    checked = {name: word for word, names in MUST_MATCH.items() if word not in allow for name in names}
    reference_values = _row_conditions(reference)
    refused = {}
    for row in rows:
        values = _row_conditions(row)
        reasons = [
            Refusal(word, f"{name} is {_join(values[name])}, that of the reference {_join(reference_values[name])}")
            for name, word in checked.items()
            if values.get(name) and reference_values.get(name) and values[name] != reference_values[name]
        ]
        if "tokens" not in allow and (difference := _token_difference(row, reference)):
            reasons.append(Refusal("tokens", difference))
        if reasons:
            refused[row.label] = tuple(reasons)
    return refused


def _row_conditions(row: Configuration) -> dict[str, set[str]]:
    """Return for each condition the values that the runs of a row have."""
    of_runs = [_conditions(run) for run in row.runs]
    return {name: {value for of_run in of_runs if (value := of_run[name]) is not None} for name in of_runs[0]}


def _join(values: set[str]) -> str:
    return " and ".join(sorted(values))


def _token_difference(row: Configuration, reference: Configuration) -> str | None:
    """Return the difference in training tokens in words, if the budget should make them equal; None: no difference."""
    settings = determining_settings(row.runs[0].record)
    if settings.get("budget.patience") is not None or any(
        settings.get(f"budget.{unit}") is not None for unit in ("seconds", "flops")
    ):
        return None  # the number of tokens is not fixed by the budget
    tokens, reference_tokens = _mean_tokens(row), _mean_tokens(reference)
    if not tokens or not reference_tokens or abs(tokens / reference_tokens - 1) <= _TOKEN_TOLERANCE:
        return None
    return f"it saw {tokens:,.0f} training tokens, the reference {reference_tokens:,.0f}"


def _mean_tokens(row: Configuration) -> float:
    """Return the mean over the runs; 0 if nothing was trained."""
    seen = [run.record.cost.tokens_seen for run in row.runs if run.record.cost]
    return sum(seen) / len(seen) if seen else 0.0
