"""Shortened texts for readers: the beginning, and an ellipsis in place of the rest."""


def shorten_text(text: str, max_characters: int) -> str:
    """Return a text without the blanks around it, cut to at most this many characters, the ellipsis included."""
    text = text.strip()
    return text if len(text) <= max_characters else f"{text[: max_characters - 1].rstrip()}…"
