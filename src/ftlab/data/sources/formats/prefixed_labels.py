"""Labels with a prefix, as in fastText's files: any number of `__label__name` anywhere in a line."""

import re
from collections.abc import Iterator

from ftlab.data.rows.row import BadRow, Row

_PREFIX = re.compile(r"__[A-Za-z]+__(?=\S)")  # __label__, unless fastText's option -label set another


def with_prefixed_labels(rows: Iterator[Row | BadRow]) -> Iterator[Row | BadRow]:
    """Yield rows of a label and a text; if the first label has a prefix, all labels of a row, without it.

    Column labels is the list of them; column label the only one, the same list, or "" if there is none.
    """
    prefix: str | None = None
    for row in rows:
        if prefix is None:
            prefix = _prefix_of(row)
        yield _with_labels(row, prefix) if prefix and isinstance(row, Row) else row


def _prefix_of(row: Row | BadRow) -> str:
    """Return the prefix of a row's label, "" if it has none."""
    if isinstance(row, BadRow) or row.values.keys() != {"label", "text"}:
        return ""
    match = _PREFIX.match(row.values["label"])
    return match[0] if match else ""


def _with_labels(row: Row, prefix: str) -> Row:
    line = f"{row.values['label']} {row.values['text']}"
    token = rf"(?<!\S){re.escape(prefix)}\S+\s*"
    labels = [
        name
        for match in re.findall(token, line)
        for part in match.strip().split(f",{prefix}")
        if (name := part.removeprefix(prefix).strip(","))
    ]
    labels = list(dict.fromkeys(labels))
    text = re.sub(token, "", line).strip()
    return Row({"label": (labels or [""])[0] if len(labels) < 2 else labels, "text": text, "labels": labels}, row.where)
