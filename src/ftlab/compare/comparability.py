"""Where the rows of one table differ in more than the method: results and costs may then not be comparable.

Every difference is marked. Those that make a test of two rows meaningless are refused too, unless they are allowed.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from textwrap import shorten

from ftlab.compare.comparison import Configuration, Run
from ftlab.compare.settings import Settings, contents, decisive
from ftlab.errors import UserError, did_you_mean

_LIBRARIES = ("torch", "transformers", "peft")
_OWN_LOSSES = ("default", "cross_entropy", "mse")  # each is refused where it is not
_PARTS_OF_LOSS = ("label_smoothing", "class_weights", "gamma", "contrastive")
_LAID_OUT = tuple(  # how the same rows are put to the model, and what of its answers is measured
    f"dataset.{key}"
    for key in ("template", "system", "prefix", "loss_on", "truncation", "generate.rows", "generate.max_new_tokens")
)
# Facts in which rows must agree to be tested against each other, by the word that allows them to differ.
GUARDED: dict[str, tuple[str, ...]] = {
    "data": ("data (hash)",),  # of the rows of every split, so of the split too
    "base": ("base weights (hash)", "dtype of the base model"),
    "batch": ("examples per optimizer step",),
    "length": ("max_length",),
    "budget": ("budget",),
    "tokens": (),  # seen in training: no fact of the settings, and compared with a tolerance
    "precision": ("precision",),
    "device": ("device",),
    "versions": tuple(f"{name} version" for name in _LIBRARIES),
}
ALL = "all"
_SAME_TOKENS = 0.02  # share by which rows of the same budget may differ in training tokens
_WIDTH = 40  # characters of a template
_SHOWN = 3  # names per value before "and N more"


def _budget(settings: Settings) -> str | None:
    for unit in ("steps", "tokens", "seconds", "flops", "epochs"):
        if (amount := settings.get(f"budget.{unit}")) is not None:
            return f"{amount:,} {unit if amount != 1 or unit == 'flops' else unit[:-1]}"
    return None


def _loss(settings: Settings) -> str | None:
    parts = [f"{part}={settings[f'loss.{part}']}" for part in _PARTS_OF_LOSS if settings.get(f"loss.{part}")]
    if "loss.name" not in settings:
        return None
    name = settings["loss.name"]
    return " ".join(["the task's own" if name in _OWN_LOSSES else name, *parts])


def _in_short(settings: Settings, key: str) -> str | None:
    """Return a setting that may be a long text; `unset` is a value too."""
    if key not in settings:
        return None
    text = str("unset" if settings[key] is None else settings[key])
    if text == shorten(text, _WIDTH):
        return text
    return f"{shorten(text, _WIDTH)} ({hashlib.sha256(text.encode()).hexdigest()[:8]})"


def _facts(run: Run) -> dict[str, str | None]:
    """Return what must be equal in rows that are compared; None where the record does not say."""
    record, settings, read = run.record, decisive(run.record), contents(run.record)
    hardware = record.hardware
    device = None
    if hardware is not None:
        processor = hardware.cpu if hardware.accelerator == "cpu" else hardware.device
        device = processor if hardware.devices == 1 else f"{hardware.devices} × {processor}"
    tokens = settings.get("speed.micro_batch_tokens", "no limit")
    facts = {
        "data (hash)": read["data"][:12] if "data" in read else None,
        "base weights (hash)": read["base"][:12] if "base" in read else None,
        "dtype of the base model": settings.get("model.dtype"),
        "max_length": settings.get("budget.max_length"),
        "examples per optimizer step": settings.get("optim.batch_size"),
        "forward passes per optimizer step": settings.get("optim.accumulate"),
        "most tokens of a forward pass": tokens if run.trainable != 0 else None,
        "optim.group_by_length": settings.get("optim.group_by_length"),  # packing changes no step
        "loss": _loss(settings),
        **{key: _in_short(settings, key) for key in _LAID_OUT},
        "budget": _budget(settings),
        "precision": hardware.precision if hardware else None,
        "device": device,
        "CPU threads": settings.get("hardware.threads") or (hardware.cores if hardware else None),
        **{f"{name} version": record.versions.get(name) for name in _LIBRARIES},
    }
    return {name: None if value is None else str(value) for name, value in facts.items()}


def differences(rows: Sequence[tuple[str, Sequence[Run]]]) -> tuple[list[str], list[tuple[int, ...]]]:
    """Find out in what the rows of a table differ beside the method.

    Args:
        rows: name and runs of each row.

    Returns:
        Warnings, and per row the numbers (from 1) of the warnings that concern it: rows that share a value with
        more than half of all rows are taken as the norm and not marked.
    """
    facts = [[_facts(run) for run in runs] for _, runs in rows]
    warnings: list[str] = []
    marks: list[list[int]] = [[] for _ in rows]
    names = list(facts[0][0]) if facts else []
    for name in names:
        holders: dict[str, list[int]] = defaultdict(list)  # value -> rows
        for index, runs in enumerate(facts):
            for value in dict.fromkeys(run[name] for run in runs):
                if value is not None:
                    holders[value].append(index)
        if len(holders) < 2:
            continue
        by_size = sorted(holders.items(), key=lambda item: -len(item[1]))
        listed = "; ".join(f"{value} ({_names(where, lambda i: rows[i][0])})" for value, where in by_size)
        warnings.append(f"the rows differ in {name}: {listed}.")
        norm = by_size[0][0] if 2 * len(by_size[0][1]) > len(rows) else None
        for index in sorted({i for value, where in by_size if value != norm for i in where}):
            marks[index].append(len(warnings))
    return warnings, [tuple(mark) for mark in marks]


@dataclass(frozen=True)
class Refusal:
    """Why a row is not tested against the reference, and the word of `GUARDED` that allows it all the same."""

    word: str
    reason: str


def allowed(words: Iterable[str]) -> frozenset[str]:
    """Return what may differ, from words or lists of words parted by commas.

    Raises:
        UserError: a word is none of `GUARDED`.
    """
    found = frozenset(word.strip() for text in words for word in text.split(","))
    for word in found - {ALL, *GUARDED}:
        raise UserError(f"--allow {word} is not known: {did_you_mean(word, (ALL, *GUARDED))}.")
    return found


def refusals(
    rows: Sequence[Configuration], reference: Configuration, allow: Collection[str] = ()
) -> dict[str, tuple[Refusal, ...]]:
    """Return why rows must not be tested against the reference.

    Args:
        rows: of one table.
        reference: one of them.
        allow: words of `GUARDED` that may differ; `all` allows every one.

    Returns:
        Label of a row -> its differences from the reference. Rows that may be tested are missing.
    """
    if ALL in allow:
        return {}
    facts = {name: word for word, names in GUARDED.items() if word not in allow for name in names}
    own = _held(reference)
    refused = {}
    for row in rows:
        held = _held(row)
        reasons = [
            Refusal(word, f"{name} is {_listed(held[name])}, that of the reference {_listed(own[name])}")
            for name, word in facts.items()
            if held.get(name) and own.get(name) and held[name] != own[name]
        ]
        if "tokens" not in allow and (apart := _tokens_apart(row, reference)):
            reasons.append(Refusal("tokens", apart))
        if reasons:
            refused[row.label] = tuple(reasons)
    return refused


def _held(row: Configuration) -> dict[str, set[str]]:
    """Return the values that the runs of a row have of each fact."""
    facts = [_facts(run) for run in row.runs]
    return {name: {value for fact in facts if (value := fact[name]) is not None} for name in facts[0]}


def _listed(values: set[str]) -> str:
    return " and ".join(sorted(values))


def _tokens_apart(row: Configuration, reference: Configuration) -> str | None:
    """Say how far the training tokens are apart, where the budget meant them to be the same."""
    settings = decisive(row.runs[0].record)
    if settings.get("budget.patience") is not None or any(
        settings.get(f"budget.{unit}") is not None for unit in ("seconds", "flops")
    ):
        return None  # each row stops by itself
    own, others = (_mean_tokens(one) for one in (row, reference))
    if not own or not others or abs(own / others - 1) <= _SAME_TOKENS:
        return None
    return f"it saw {own:,.0f} training tokens, the reference {others:,.0f}"


def _mean_tokens(row: Configuration) -> float:
    """Return the mean over the runs; 0 where nothing trained."""
    seen = [run.record.cost.tokens_seen for run in row.runs if run.record.cost]
    return sum(seen) / len(seen) if seen else 0.0


def _names(indices: Sequence[int], name: Callable[[int], str]) -> str:
    shown = ", ".join(name(index) for index in indices[:_SHOWN])
    return shown if len(indices) <= _SHOWN else f"{shown} and {len(indices) - _SHOWN} more"
