"""Page printed by `ftlab data`. Text of the rows is never interpreted as markup."""

from collections.abc import Iterable, Sequence

import numpy as np
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ftlab.core.escapes import escape_controls
from ftlab.preview.collect import DatasetPreview, LengthStats
from ftlab.preview.kind_preview import ShownExample, TargetStats
from ftlab.preview.token_spans import TokenSpan

WITH_LOSS, WITHOUT_LOSS, CONTROL = "bold", "dim", "cyan"  # styles of tokens
_OPEN, _CLOSE = "⟦", "⟧"  # around tokens with a loss, if the output is no terminal
_MAX_SPANS = 600  # of an example
_MAX_LABELS = 20
_BINS = 12
_BAR_LENGTH = 40  # characters of the longest bar


def print_page(facts: DatasetPreview, console: Console) -> None:
    """Print the preview; marks tokens with a loss by brackets if the output is no terminal."""
    marked = not console.is_terminal
    _say(console, f"{facts.dataset} · {facts.model} · {facts.method}", "bold")
    for line in [*facts.notes, _splits(facts)]:
        _say(console, line)
    _bad_rows(facts, console)
    for number, example in enumerate(facts.examples):
        if not number:
            _heading(console, "rows as the model sees them", _legend(facts, marked))
        _example(example, console, marked)
    _heading(console, "tokens of the training examples", _length_summary(facts.lengths))
    _print_indented(console, length_histogram(facts.lengths))
    if facts.labels:
        _heading(console, f"{facts.preview.counted} of each label", _left_out(len(facts.labels)))
        _print_indented(console, _labels(facts))
    if facts.targets:
        _heading(console, "targets of the training rows")
        _print_indented(console, _targets(facts.targets))
    _heading(console, "notes")
    for line in _notes(facts):
        _say(console, f"  {line}")


def styled_text(spans: Sequence[TokenSpan], marked: bool = False) -> Text:
    """Return an example's text: bold with a loss, dim without; special tokens in a colour."""
    text, in_loss = Text(), False
    for span in _shortened(spans):
        if marked and span.in_loss != in_loss:
            text.append(_OPEN if span.in_loss else _CLOSE)
        in_loss = span.in_loss
        style = WITH_LOSS if in_loss else WITHOUT_LOSS
        text.append(span.text, f"{style} {CONTROL}" if span.control else style)
    if marked and in_loss:
        text.append(_CLOSE)
    return text


def length_histogram(lengths: LengthStats) -> Text:
    """Return a histogram of the lengths, one bar per range, from the shortest to the longest."""
    low, high = int(lengths.tokens.min()), int(lengths.tokens.max())
    width = -(-(high - low + 1) // _BINS)
    counts = np.bincount((lengths.tokens - low) // width)
    text = Text()
    for index, count in enumerate(counts.tolist()):
        first = low + index * width
        label = f"{first}" if width == 1 else f"{first}-{min(first + width - 1, high)}"
        bar = "█" * round(_BAR_LENGTH * count / counts.max()) or ("▏" if count else "")
        text.append(f"{label:>11} ").append(bar, "green").append(f" {count:,}\n")
    text.rstrip()
    return text


def _splits(facts: DatasetPreview) -> str:
    def sentence(split: str) -> str:
        limit = f", at most {facts.row_limits[split]:,} by the budget" if split in facts.row_limits else ""
        source = ", split off from the training rows" if split in facts.split_from_train else ""
        return f"{facts.rows[split]:,} {split}{source}{limit}"

    return f"examples: {'; '.join(map(sentence, facts.rows))}"


def _bad_rows(facts: DatasetPreview, console: Console) -> None:
    for line in facts.bad_rows:
        _say(console, line, "yellow")
    if facts.would_stop:
        _say(
            console,
            "They are left out here, but training would stop: fix them, or set dataset.on_bad_rows=skip.",
            "bold red",
        )
    if facts.dropped:
        counted = ", ".join(f"{reason}: {count:,}" for reason, count in facts.dropped.items())
        _say(console, f"left out: {counted}")


def _legend(facts: DatasetPreview, marked: bool) -> str:
    with_loss = facts.preview.with_loss
    if with_loss is None:
        return "all tokens are input; the expected answer is below"
    return f"{_OPEN}…{_CLOSE}: {with_loss}" if marked else f"bright: {with_loss}; dim: input without loss"


def _example(example: ShownExample, console: Console, marked: bool) -> None:
    _say(console, f"\n  {example.where}", "underline")
    if example.targets:
        _print_indented(console, Text("reads: ").append_text(styled_text(example.inputs)))
        _print_indented(console, Text("writes: ").append_text(styled_text(example.targets, marked)))
    elif example.inputs:
        _print_indented(console, styled_text(example.inputs, marked))
    if example.tagged_words:
        line = Text()
        for word, tag, seen in example.tagged_words:
            tag_style = WITHOUT_LOSS if tag == "O" or not seen else WITH_LOSS
            line.append(word, "" if seen else WITHOUT_LOSS).append(f"/{tag} ", tag_style)
        _print_indented(console, line)
    if example.answer is not None:
        _print_indented(console, Text("answer: ").append(example.answer, WITH_LOSS))


def _length_summary(lengths: LengthStats) -> str:
    median, percentile_95 = np.percentile(lengths.tokens, [50, 95])
    truncated = "unknown" if lengths.truncated_share is None else f"{lengths.truncated_share:.1%}"
    phrases = [
        f"median {median:.0f}, 95 % within {percentile_95:.0f}, longest {lengths.tokens.max()}",
        f"rows cut to {lengths.max_length_setting}={lengths.max_length}: {truncated}",
        f"padding in batches of {lengths.micro_batch_size}: {lengths.padding_share:.1%}",
    ]
    if lengths.loss_token_share is not None:
        phrases.append(f"with a loss: {lengths.loss_token_share:.1%} of the tokens")
    return "; ".join(phrases)


def _left_out(labels: int) -> str:
    return f"the {_MAX_LABELS} most frequent of {labels}" if labels > _MAX_LABELS else ""


def _labels(facts: DatasetPreview) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("label", overflow="fold")
    for split in facts.rows:
        table.add_column(split, justify="right")
    table.add_column("of training", justify="right")
    too_many = len(facts.labels) > _MAX_LABELS
    labels = sorted(facts.labels, key=lambda label: -facts.labels[label]["train"]) if too_many else [*facts.labels]
    total = sum(counts["train"] for counts in facts.labels.values())
    if facts.preview.several_labels:
        total = facts.rows["train"]
    for label in labels[:_MAX_LABELS]:
        counts = facts.labels[label]
        table.add_row(
            Text(escape_controls(label)),
            *(f"{counts[split]:,}" for split in facts.rows),
            f"{counts['train'] / total if total else 0:.1%}",
        )
    return table


def _targets(targets: Iterable[TargetStats]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("target", overflow="fold")
    for name in ("mean", "deviation", "minimum", "maximum"):
        table.add_column(name, justify="right")
    for target in targets:
        numbers = (target.mean, target.deviation, target.minimum, target.maximum)
        table.add_row(Text(escape_controls(target.name)), *(f"{number:.4g}" for number in numbers))
    return table


def _notes(facts: DatasetPreview) -> list[str]:
    duplicates = f"{facts.duplicates:,} training rows repeat the text of an earlier one."
    return [
        duplicates if facts.duplicates else "No training row repeats the text of another.",
        f"{facts.unknown_token_share:.1%} of the training tokens are unknown to the tokenizer.",
        *facts.warnings,
    ]


def _shortened(spans: Sequence[TokenSpan]) -> list[TokenSpan]:
    if len(spans) <= _MAX_SPANS:
        return [*spans]
    half, left = _MAX_SPANS // 2, len(spans) - _MAX_SPANS
    return [*spans[:half], TokenSpan(f" … ({left:,} tokens not shown) … ", in_loss=False), *spans[-half:]]


def _heading(console: Console, title: str, details: str = "") -> None:
    console.print()
    console.print(Text(title, "bold").append(f"  {details}" if details else "", "not bold"), soft_wrap=True)


def _say(console: Console, line: str, style: str = "") -> None:
    console.print(Text(escape_controls(line), style), soft_wrap=True)


def _print_indented(console: Console, content: Text | Table) -> None:
    console.print(Padding(content, (0, 0, 0, 2), expand=False))
