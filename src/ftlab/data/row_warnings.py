"""Warnings about the rows of a data set: the same ones in several splits, cut responses, unknown tokens."""

from collections.abc import Iterable, Mapping

from ftlab.data.encoding.encoded_split import SplitSummary
from ftlab.data.rows.splits import SplitKey, count_overlap

_UNKNOWN_WARNING = 0.05  # fraction of unknown tokens above which there is a warning
_CUT_WARNING = 0.01  # fraction of training rows with responses


def overlap_warnings(keys: Mapping[str, Iterable[SplitKey]], rows: Mapping[str, int]) -> list[str]:
    """Return warnings about validation and test rows that are in training too.

    Args:
        keys: split -> the input key of each row.
        rows: split -> number of rows.
    """
    shared = count_overlap({split: keys[split] for split in ("val", "test")}, keys["train"])
    return [
        f"{count} of the {rows[split]} {split} rows are in training too, word for word."
        for split, count in shared.items()
        if count
    ]


def cut_warnings(train: SplitSummary, num_rows: int, max_length: int) -> list[str]:
    """Return a warning if the length limit cuts training rows that have responses, which change their meaning by it.

    Args:
        train: of the training rows.
        num_rows: number of training rows.
        max_length: the limit, in tokens.
    """
    if not train.truncated or train.truncated < _CUT_WARNING * num_rows:
        return []
    dropped = sum(train.dropped.values())
    left_out = f", {dropped:,} of them left out" if dropped else ""
    return [
        f"{train.truncated / num_rows:.0%} of the {num_rows:,} training rows are longer than {max_length} tokens and "
        f"cut{left_out}: raise dataset.max_length, and budget.max_length if it is set."
    ]


def context_warning(model: str, context_length: int, max_length: int) -> str:
    """Return a warning about a model that reads less than the data set's examples may have; lengths in tokens."""
    return f"{model} reads at most {context_length} tokens, so examples are cut to that, not to {max_length}."


def unknown_warnings(summaries: Mapping[str, SplitSummary], model: str) -> list[str]:
    """Return a warning if the tokenizer does not know many of the tokens of a split; of the worst split only.

    Args:
        summaries: split -> statistics of its rows.
        model: name of the model, for the message.
    """
    worst = max(summaries, key=lambda split: summaries[split].unknown_share)
    share = summaries[worst].unknown_share
    if share <= _UNKNOWN_WARNING:
        return []
    return [
        f"{share:.0%} of the tokens of the {worst} rows are unknown to the tokenizer of {model}: "
        "a vocabulary for another language?"
    ]
