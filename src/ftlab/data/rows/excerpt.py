"""Excerpt of a row for readers of its prediction: the row's own text, and where it comes from."""

from collections.abc import Sequence
from dataclasses import dataclass

from ftlab.core.escapes import escape_controls
from ftlab.core.shorten import shorten_text

EXCERPT_CHARACTERS = 300  # of the text, or of what is expected


@dataclass(frozen=True, slots=True)
class Excerpt:
    """What a reader sees of one example.

    Attributes:
        text: beginning of the input as it is in the data; None if that is not known.
        where: location of the row, as in `Row`, for people: without control characters.
        expected: beginning of the text that the model should write; None for tasks whose predictions hold the label.
    """

    text: str | None
    where: str
    expected: str | None = None


def make_excerpt(texts: Sequence[str], where: str, expected: Sequence[str] | None = None) -> Excerpt:
    """Return the excerpt of an example.

    Args:
        texts: the inputs, e.g. text and pair: each on a line of its own, with its share of the characters; empty ones
            are left out.
        where: location of the row.
        expected: texts of which any is right; None: see `Excerpt`.
    """
    texts = [text for text in texts if text.strip()]
    return Excerpt(
        "\n".join(shorten_text(text, EXCERPT_CHARACTERS // len(texts)) for text in texts),
        escape_controls(where),
        None if expected is None else join_references(expected, EXCERPT_CHARACTERS),
    )


def join_references(references: Sequence[str], max_characters: int) -> str:
    """Return references in one text, separated by a bar, as far as the characters allow."""
    return shorten_text(" | ".join(reference.strip() for reference in references), max_characters)
