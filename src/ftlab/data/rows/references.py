"""References: texts of which any is right, as a list in the column of the text to learn, or in one of their own."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ftlab.config.task_kind import REFERENCES
from ftlab.data.rows.list_texts import parse_list_text
from ftlab.data.rows.row import Row, UnusableValue

_SCALARS = (str, int, float, type(None))


def read_references(value: Any) -> list[Any] | None:
    """Return the texts of a list, also of an object with a list `text` as SQuAD has it; None if it is no such list."""
    if isinstance(value, Mapping) and isinstance(value.get("text"), list):
        value = value["text"]
    return value if isinstance(value, list) and all(isinstance(item, _SCALARS) for item in value) else None


def read_reference_column(value: Any) -> list[Any]:
    """Return the texts in a column of references alone, where a table may hold the list as text, or a single one.

    Raises:
        UnusableValue: it holds something else.
    """
    if isinstance(value, str):
        value = parse_list_text(value) or [value]
    texts = [] if value is None or value != value else read_references(value)
    if texts is None:
        raise UnusableValue("no list", "holds no list of texts: write each right answer as a text of the list")
    return texts


def distinct(texts: Iterable[str], without: str = "") -> list[str]:
    """Return the texts that say something, each once, whatever the blanks around it; `without` is left out."""
    first_of: dict[str, str] = {}
    for text in texts:
        first_of.setdefault(text.strip(), text)
    return [text for stripped, text in first_of.items() if stripped not in ("", without.strip())]


class ReferenceCounter:
    """Counter of the rows with several references."""

    def __init__(self) -> None:
        """Start with no rows."""
        self._rows = self._several = self._most = 0

    def watch(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield the same rows and count them."""
        for row in rows:
            others: Sequence[str] = row.values.get(REFERENCES, ())
            self._rows += 1
            self._several += bool(others)
            self._most = max(self._most, 1 + len(others))
            yield row

    def notes(self) -> list[str]:
        """Return a line on what several references do, if any row has them."""
        if not self._several:
            return []
        return [
            f"references: {self._several} of {self._rows} rows have several, up to {self._most}; the first is learned, "
            "and generated text is scored by the best of them (join a list of sentences that are one text)"
        ]
