"""Agreement of what is learned with what a template makes of the whole conversation."""

from ftlab.core.errors import DataError

_BEFORE, _AFTER = 30, 50  # characters shown around the first difference


def require_agreement(written: str, learned: str, where: str) -> None:
    """Check that a row is rendered with slots as the template renders it with its words.

    Args:
        written: what the template makes of the whole conversation.
        learned: the text that is tokenized.
        where: location of the row.

    Raises:
        DataError: they differ, since the template looks at the words of a row; names the row and the difference.
    """
    if written == learned:
        return
    pairs = zip(written, learned, strict=False)
    length = min(len(written), len(learned))
    start = next((position for position, (one_side, other) in enumerate(pairs) if one_side != other), length)
    shown = slice(max(0, start - _BEFORE), start + _AFTER)
    raise DataError(
        f"{where}: the template treats some words of this row as its own markup and writes {written[shown]!r}, where "
        f"{learned[shown]!r} would be learned: leave the row out, rewrite it, or set dataset.template=plain, alpaca or "
        "alpaca_zh."
    )
