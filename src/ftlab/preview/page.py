"""The page that `ftlab data` prints. What the rows say is never read as markup."""

from collections.abc import Iterable, Sequence

import numpy as np
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ftlab.preview.facts import Facts, Lengths, Target
from ftlab.preview.pieces import Piece, harmless
from ftlab.preview.rows import Shown

LEARNED, READ, CONTROL = "bold", "dim", "cyan"  # styles of tokens
_OPEN, _CLOSE = "⟦", "⟧"  # around what is learned, where styles are not seen
_MOST_PIECES = 600  # of an example
_MOST_LABELS = 20
_BINS = 12
_BAR = 40  # characters of the longest


def show(facts: Facts, console: Console) -> None:
    """Print all of it; with marks around what is learned where the output is no terminal."""
    marked = not console.is_terminal
    _say(console, f"{facts.dataset} · {facts.model} · {facts.method}", "bold")
    for line in [*facts.notes, _splits(facts)]:
        _say(console, line)
    _bad_rows(facts, console)
    for number, example in enumerate(facts.shown):
        if not number:
            _head(console, "rows as the model sees them", _legend(facts, marked))
        _example(example, console, marked)
    _head(console, "tokens of the training examples", _about(facts.lengths))
    _put(console, histogram(facts.lengths))
    if facts.labels:
        unit = "words" if facts.task.peft_type == "TOKEN_CLS" else "rows"
        _head(console, f"{unit} of each label", _left_out(len(facts.labels)))
        _put(console, _labels(facts))
    if facts.targets:
        _head(console, "targets of the training rows")
        _put(console, _targets(facts.targets))
    _head(console, "to know")
    for line in _to_know(facts):
        _say(console, f"  {line}")


def as_text(parts: Sequence[Piece], marked: bool = False) -> Text:
    """Return an example's text: dim what has no loss, bold what has; control tokens in a colour."""
    text, before = Text(), False
    for part in _shortened(parts):
        if marked and part.learned != before:
            text.append(_OPEN if part.learned else _CLOSE)
        before = part.learned
        style = LEARNED if part.learned else READ
        text.append(part.text, f"{style} {CONTROL}" if part.control else style)
    if marked and before:
        text.append(_CLOSE)
    return text


def histogram(lengths: Lengths) -> Text:
    """Return a bar for each stretch of lengths, from the shortest to the longest."""
    low, high = int(lengths.tokens.min()), int(lengths.tokens.max())
    width = -(-(high - low + 1) // _BINS)
    counts = np.bincount((lengths.tokens - low) // width)
    text = Text()
    for place, count in enumerate(counts.tolist()):
        first = low + place * width
        span = f"{first}" if width == 1 else f"{first}-{min(first + width - 1, high)}"
        bar = "█" * round(_BAR * count / counts.max()) or ("▏" if count else "")
        text.append(f"{span:>11} ").append(bar, "green").append(f" {count:,}\n")
    text.rstrip()
    return text


def _splits(facts: Facts) -> str:
    def told(split: str) -> str:
        limit = f", at most {facts.limits[split]:,} by the budget" if split in facts.limits else ""
        source = ", dealt out from the training rows" if split in facts.carved else ""
        return f"{facts.rows[split]:,} {split}{source}{limit}"

    return f"examples: {'; '.join(map(told, facts.rows))}"


def _bad_rows(facts: Facts, console: Console) -> None:
    for line in facts.bad:
        _say(console, line, "yellow")
    if facts.stops:
        _say(
            console,
            "This page goes on without them; training would stop: mend them, or set dataset.on_bad_rows=skip.",
            "bold red",
        )
    if facts.dropped:
        counted = ", ".join(f"{reason}: {count:,}" for reason, count in facts.dropped.items())
        _say(console, f"left out: {counted}")


def _legend(facts: Facts, marked: bool) -> str:
    if facts.task.auto_class == "AutoModelForTokenClassification":
        place = "the first token of each word, which carries its tag"
    elif facts.task.labels:
        return "all is read; the answer stands below"
    else:
        place = "what is learned"
    return f"{_OPEN}…{_CLOSE}: {place}" if marked else f"bright: {place}; dim: read, without loss"


def _example(example: Shown, console: Console, marked: bool) -> None:
    _say(console, f"\n  {example.where}", "underline")
    if example.written:
        _put(console, Text("reads: ").append_text(as_text(example.read)))
        _put(console, Text("writes: ").append_text(as_text(example.written, marked)))
    elif example.read:
        _put(console, as_text(example.read, marked))
    if example.words:
        line = Text()
        for word, tag, seen in example.words:
            line.append(word, "" if seen else READ).append(f"/{tag} ", READ if tag == "O" or not seen else LEARNED)
        _put(console, line)
    if example.answer is not None:
        _put(console, Text("answer: ").append(example.answer, LEARNED))


def _about(lengths: Lengths) -> str:
    median, most = np.percentile(lengths.tokens, [50, 95])
    cut = "unknown" if lengths.truncated is None else f"{lengths.truncated:.1%}"
    said = [
        f"median {median:.0f}, 95 % within {most:.0f}, longest {lengths.tokens.max()}",
        f"rows cut to {lengths.bound}={lengths.most}: {cut}",
        f"padding in batches of {lengths.micro_batch_size}: {lengths.padding:.1%}",
    ]
    return "; ".join([*said, *([] if lengths.learned is None else [f"learned: {lengths.learned:.1%} of the tokens"])])


def _left_out(labels: int) -> str:
    return f"the {_MOST_LABELS} most frequent of {labels}" if labels > _MOST_LABELS else ""


def _labels(facts: Facts) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("label", overflow="fold")
    for split in facts.rows:
        table.add_column(split, justify="right")
    table.add_column("of training", justify="right")
    many = len(facts.labels) > _MOST_LABELS
    labels = sorted(facts.labels, key=lambda label: -facts.labels[label]["train"]) if many else [*facts.labels]
    of = sum(counts["train"] for counts in facts.labels.values())
    if facts.task.problem == "multi_label_classification":
        of = facts.rows["train"]
    for label in labels[:_MOST_LABELS]:
        counts = facts.labels[label]
        table.add_row(
            Text(harmless(label)),
            *(f"{counts[split]:,}" for split in facts.rows),
            f"{counts['train'] / of if of else 0:.1%}",
        )
    return table


def _targets(targets: Iterable[Target]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("target", overflow="fold")
    for name in ("mean", "deviation", "least", "greatest"):
        table.add_column(name, justify="right")
    for one in targets:
        numbers = (one.mean, one.deviation, one.least, one.greatest)
        table.add_row(Text(harmless(one.name)), *(f"{number:.4g}" for number in numbers))
    return table


def _to_know(facts: Facts) -> list[str]:
    repeated = f"{facts.repeated:,} training rows repeat the text of an earlier one."
    return [
        repeated if facts.repeated else "No training row repeats the text of another.",
        f"The tokenizer does not know {facts.unknown:.1%} of the training tokens.",
        *facts.warnings,
    ]


def _shortened(parts: Sequence[Piece]) -> list[Piece]:
    if len(parts) <= _MOST_PIECES:
        return [*parts]
    half, left = _MOST_PIECES // 2, len(parts) - _MOST_PIECES
    return [*parts[:half], Piece(f" … ({left:,} pieces not shown) … ", learned=False), *parts[-half:]]


def _head(console: Console, title: str, about: str = "") -> None:
    console.print()
    console.print(Text(title, "bold").append(f"  {about}" if about else "", "not bold"), soft_wrap=True)


def _say(console: Console, line: str, style: str = "") -> None:
    console.print(Text(harmless(line), style), soft_wrap=True)


def _put(console: Console, what: Text | Table) -> None:
    console.print(Padding(what, (0, 0, 0, 2), expand=False))
