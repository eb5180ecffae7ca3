"""Shapes of rows: which column plays which role, as people's files name them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from textwrap import shorten

from ftlab.data.mapping import value_at
from ftlab.data.rows import BadRow, Columns, Roles, Row
from ftlab.errors import DataError, did_you_mean

_LOOKED_AT = 100  # rows
_TOLD = 12  # columns


@dataclass(frozen=True)
class Shape:
    """What rows look like that have this shape.

    Attributes:
        name: what it is called.
        columns: role -> the names that its column goes by; of several that are there the first counts.
        needs: roles without which it is another shape, whether or not the task can do without.
        turns: keys of the turns in the column of `messages`.
    """

    name: str
    columns: Mapping[str, tuple[str, ...]]
    needs: tuple[str, ...] = ()
    turns: tuple[str, str] | None = None


_LABEL = ("label", "labels", "class", "category", "intent", "sentiment", "target", "topic", "score", "rating", "stars")
_TARGET = ("score", "target", "rating", "stars", "label", "labels")
_LABELS = ("labels", "intents", "tags", "categories", "label")


def _answered(name: str, question: tuple[str, ...], answer: tuple[str, ...]) -> Shape:
    """Return a shape that instruction data and pairs of sequences can both have."""
    return Shape(name, {"prompt": question, "response": answer, "source": question, "target": answer})


# Of the shapes that a task has roles for, the first that fits is taken. A new shape is one line.
SHAPES = (
    Shape("sharegpt", {"messages": ("conversations", "conversation")}, turns=("from", "value")),
    Shape(
        "messages", {"messages": ("messages", "conversations", "conversation", "dialogue")}, turns=("role", "content")
    ),
    Shape("alpaca", {"prompt": ("instruction",), "input": ("input",), "response": ("output",)}),
    Shape("dolly", {"prompt": ("instruction",), "input": ("context", "input"), "response": ("response",)}),
    Shape("指令/输出", {"prompt": ("指令",), "input": ("输入",), "response": ("输出",)}),
    _answered("prompt/completion", ("prompt",), ("completion",)),
    _answered("prompt/response", ("prompt",), ("response",)),
    Shape(
        "question/answer", {"prompt": ("question", "query"), "input": ("context",), "response": ("answer", "response")}
    ),
    _answered("source/target", ("source", "src"), ("target", "tgt")),
    _answered("document/summary", ("document", "article", "dialogue"), ("summary", "highlights")),
    _answered("input/output", ("input", "inputs"), ("output", "outputs", "target", "targets")),
    Shape("text", {"text": ("text", "content", "document", "article")}),
    Shape(
        "pair/label",
        {
            "text": ("sentence1", "premise", "question1", "text_a", "text1", "text"),
            "text_pair": ("sentence2", "hypothesis", "question2", "text_b", "text2", "text_pair"),
            "label": _LABEL,
            "labels": _LABELS,
            "target": _TARGET,
        },
        needs=("text_pair",),
    ),
    Shape(
        "text/label",
        {
            "text": ("text", "sentence", "review", "content", "comment", "tweet", "title"),
            "label": _LABEL,
            "labels": _LABELS,
            "target": _TARGET,
        },
    ),
    Shape("tokens/tags", {"tokens": ("tokens", "words"), "tags": ("tags", "ner_tags", "pos_tags", "labels")}),
)


@dataclass(frozen=True)
class Found:
    """What is known of the columns.

    Attributes:
        columns: role -> column, of those in use.
        shape: name of the shape that was detected; None: all columns were set.
    """

    columns: Mapping[str, str | list[str]]
    shape: str | None = None

    def told(self, rows: int) -> list[str]:
        """Return one line on what was detected, if something was."""
        shown = ", ".join(f"{role}: {column}" for role, column in self.columns.items())
        return [f"detected: {self.shape}, {rows} rows ({shown})"] if self.shape else []


def settle(
    rows: Iterable[Row | BadRow], columns: Columns, roles: Roles, shape: str | None = None
) -> tuple[Found, Iterator[Row | BadRow]]:
    """Return which column plays which role, and the rows again. Columns that are set win over what is detected.

    Args:
        rows: with column -> value; the first are looked at.
        columns: role -> column; None: to be detected, if a role that the task needs is among them.
        roles: those of the task.
        shape: name of the one shape that the rows have; None: any.

    Raises:
        DataError: the rows have no shape that this task can read, or not this one.
    """
    given = {role: column for role, column in columns.items() if column}
    if shape is None and (roles.conversation in given or all(role in given for role in roles.required)):
        return Found(given), iter(rows)
    names = [one.name for one in SHAPES]
    if shape is not None and shape not in names:
        raise DataError(f"dataset.shape={shape} is unknown: {did_you_mean(shape, names)}.")
    rows = iter(rows)
    first = list(islice(rows, _LOOKED_AT))
    sample = [row for row in first if isinstance(row, Row)]
    back = chain(first, rows)
    if not sample:
        return Found(given), back  # whoever reads on says why
    _require_no_preferences(sample[0], roles)
    for candidate in SHAPES:
        if shape in (None, candidate.name):
            found = _fit(candidate, sample, given, roles)
            if found is not None:
                _require_no_history(sample, found)
                return Found(found, candidate.name), back
    present = sorted({_shown(name) for row in sample for name in row.values})
    missing = [role for role in roles.required if role not in given]
    wanted = f"of the shape {shape}" if shape else f"of a shape that is known for {', '.join(roles.required)}"
    raise DataError(
        f"{sample[0].where}: these rows are not {wanted} (their columns: {', '.join(present[:_TOLD]) or 'none'}): "
        f"set {' and '.join(f'dataset.columns.{role}' for role in missing or roles.required)}."
    )


def _fit(
    shape: Shape, sample: Sequence[Row], given: Mapping[str, str | list[str]], roles: Roles
) -> dict[str, str | list[str]] | None:
    """Return role -> column for rows of this shape; None: they are of another."""
    there = {str(name).casefold(): str(name) for row in reversed(sample) for name in row.values}
    found: dict[str, str | list[str]] = dict(given)
    for role in roles.all:
        names = [there[name] for name in shape.columns.get(role, ()) if name in there]
        if shape.turns:
            names = [name for name in names if _has_turns(sample, name, shape.turns)]
        if names and role not in given:
            found[role] = names[0]
    if any(role not in found for role in shape.needs):
        return None
    if not shape.turns and any(role not in shape.columns for role in roles.required):
        return None  # of another task, of which one role goes by the same name
    if shape.turns:
        return {role: found[role] for role in (roles.conversation,) if role and role in found} or None
    if not found.keys() - given.keys() or any(role not in found for role in roles.required):
        return None
    return {role: found[role] for role in roles.all if role in found}


def _shown(name: object) -> str:
    """Return a column's name for a sentence, whatever is in it."""
    return shorten(str(name).encode(errors="replace").decode(), width=40) or repr(name)


def _has_turns(sample: Sequence[Row], column: str, keys: tuple[str, str]) -> bool:
    values = [value for row in sample if isinstance(value := value_at(row.values, column), list) and value]
    return any(isinstance(turn, Mapping) and keys[0] in turn for value in values for turn in value[:1])


def _require_no_preferences(row: Row, roles: Roles) -> None:
    """Refuse rows that tell good answers from bad ones, for their bad ones would be learned like the good ones."""
    marks = [name for name in ("label", "kto_tag") if isinstance(row.values.get(name), bool)]
    if {"chosen", "rejected"} <= row.values.keys():
        marks = ["chosen", "rejected"]
    if "response" in roles.all and marks:
        raise DataError(
            f"{row.where}: these rows tell better answers from worse ({', '.join(marks)}), which no task here learns "
            "from: keep the better ones, and set dataset.columns."
        )


def _require_no_history(sample: Sequence[Row], found: Mapping[str, str | list[str]]) -> None:
    """Refuse questions that follow on earlier ones in a column of their own, for those would be left out."""
    row = next((row for row in sample if row.values.get("history")), None)
    if row is not None and "response" in found:
        raise DataError(
            f"{row.where}: this row has earlier turns in a column history, which would be lost: write it as messages, "
            "or set dataset.columns to go on without."
        )
