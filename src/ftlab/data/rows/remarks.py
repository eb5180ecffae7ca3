"""Remarks on how rows were read, collected while they are read."""

from collections.abc import Iterable, Iterator, Sequence

from ftlab.data.rows.row import BadRow, Row


class Remarks:
    """Collector of remarks, each kept once.

    Attributes:
        notes: lines for the terminal on what was detected.
        doubts: see `Origin`.
    """

    def __init__(self) -> None:
        """Start without any."""
        self.notes: list[str] = []
        self.doubts: list[str] = []

    def note(self, *lines: str) -> None:
        """Add lines for the terminal."""
        self.notes += [line for line in lines if line not in self.notes]

    def doubt(self, *sentences: str) -> None:
        """Add sentences for readers of the results."""
        self.doubts += [sentence for sentence in sentences if sentence not in self.doubts]


class RowsWithNotes(Iterator[Row | BadRow]):
    """Rows of a source that says how it read its file.

    Attributes:
        notes: lines for the terminal.
    """

    def __init__(self, rows: Iterable[Row | BadRow], notes: Sequence[str]) -> None:
        """Take the rows and the lines."""
        self.notes = notes
        self._rows = iter(rows)

    def __next__(self) -> Row | BadRow:
        """Return the next row."""
        return next(self._rows)
