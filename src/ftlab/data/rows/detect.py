"""Column detection: role of each column, by the column names of common row formats such as Alpaca and ShareGPT."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from textwrap import shorten

from ftlab.config.task_kind import REFERENCES, Roles
from ftlab.core.errors import DataError, did_you_mean
from ftlab.data.rows.conversations import SYSTEM_COLUMNS, turns_at
from ftlab.data.rows.row import BadRow, Columns, Row

_FLAGS = {"0", "1", "0.0", "1.0", "true", "false"}
_LABEL_PREFIX = re.compile(r"__[A-Za-z]+__\S")  # of fastText's files
_SAMPLE_ROWS = 100  # rows at the start of a data set from which columns are detected
_MAX_COLUMNS_SHOWN = 12  # in an error message


@dataclass(frozen=True)
class RowFormat:
    """A common format of rows, which `dataset.shape` can name.

    Attributes:
        name: value of `dataset.shape`.
        columns: role -> possible names of its column; of several that are present the first one counts.
        required_roles: roles without which rows are not of this format, even if the task does not need these roles.
        turn_keys: keys of the turns in the column of `messages`: speaker, text.
    """

    name: str
    columns: Mapping[str, tuple[str, ...]]
    required_roles: tuple[str, ...] = ()
    turn_keys: tuple[str, str] | None = None


_LABEL = ("label", "labels", "class", "category", "intent", "sentiment", "target", "topic", "score", "rating", "stars")
_TARGET = ("score", "target", "rating", "stars", "label", "labels")
_LABELS = ("labels", "intents", "tags", "categories", "label")


def _text_pairs(name: str, sources: tuple[str, ...], targets: tuple[str, ...]) -> RowFormat:
    """Return a format that both instruction data and sequence-to-sequence data can have."""
    return RowFormat(name, {"prompt": sources, "response": targets, "source": sources, "target": targets})


# Columns of sparse roles, of any format. They may first have a value in any row, so they are looked for in each.
SPARSE_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "system": SYSTEM_COLUMNS,
    "history": ("history",),
    REFERENCES: (REFERENCES,),
}

# The first format that fits the rows and has the task's roles is taken. A new format is one line here.
ROW_FORMATS = (
    RowFormat("sharegpt", {"messages": ("conversations", "conversation")}, turn_keys=("from", "value")),
    RowFormat(
        "messages",
        {"messages": ("messages", "conversations", "conversation", "dialogue")},
        turn_keys=("role", "content"),
    ),
    RowFormat("alpaca", {"prompt": ("instruction",), "input": ("input",), "response": ("output",)}),
    RowFormat("dolly", {"prompt": ("instruction",), "input": ("context", "input"), "response": ("response",)}),
    RowFormat("指令/输出", {"prompt": ("指令",), "input": ("输入",), "response": ("输出",)}),
    _text_pairs("prompt/completion", ("prompt",), ("completion",)),
    _text_pairs("prompt/response", ("prompt",), ("response",)),
    RowFormat(
        "question/answer",
        {"prompt": ("question", "query"), "input": ("context",), "response": ("answer", "response", "answers")},
    ),
    _text_pairs("source/target", ("source", "src"), ("target", "tgt", "targets")),
    _text_pairs("document/summary", ("document", "article", "dialogue"), ("summary", "highlights")),
    _text_pairs("input/output", ("input", "inputs"), ("output", "outputs", "target", "targets")),
    RowFormat("text", {"text": ("text", "content", "document", "article")}),
    RowFormat(
        "pair/label",
        {
            "text": ("sentence1", "premise", "question1", "text_a", "text1", "text"),
            "text_pair": ("sentence2", "hypothesis", "question2", "text_b", "text2", "text_pair"),
            "label": _LABEL,
            "labels": _LABELS,
            "target": _TARGET,
        },
        required_roles=("text_pair",),
    ),
    RowFormat(
        "text/label",
        {
            "text": ("text", "sentence", "review", "content", "comment", "tweet", "title"),
            "label": _LABEL,
            "labels": _LABELS,
            "target": _TARGET,
        },
    ),
    RowFormat("tokens/tags", {"tokens": ("tokens", "words"), "tags": ("tags", "ner_tags", "pos_tags", "labels")}),
    RowFormat("text/spans", {"tokens": ("text",), "tags": ("spans", "entities", "label", "labels")}),
)


@dataclass(frozen=True)
class DetectedColumns:
    """Columns in use, and the row format by which they were detected.

    Attributes:
        columns: role -> column, of those in use.
        shape: name of the row format that was detected; None: all columns were set.
    """

    columns: Mapping[str, str | list[str]]
    shape: str | None = None

    def notes(self, num_rows: int) -> list[str]:
        """Return one line on what was detected; none if nothing was."""
        pairs = ", ".join(f"{role}: {column}" for role, column in self.columns.items())
        return [f"detected: {self.shape}, {num_rows} rows ({pairs})"] if self.shape else []


def detect_columns(
    rows: Iterable[Row | BadRow], columns: Columns, roles: Roles, shape: str | None = None
) -> tuple[DetectedColumns, Iterator[Row | BadRow]]:
    """Return which column plays which role, and all rows again. Columns that are set win over detected ones.

    Args:
        rows: with column -> value; detection reads the first 100 of them.
        columns: role -> column; None: to be detected if the task requires one of these roles.
        roles: those of the task.
        shape: name of the row format, `dataset.shape`; None: any.

    Raises:
        DataError: the rows have no format that this task can read, or not the one that is set.
    """
    set_columns = {role: column for role, column in columns.items() if column}
    if shape is None and (roles.conversation in set_columns or all(role in set_columns for role in roles.required)):
        return DetectedColumns(set_columns), iter(rows)
    names = [row_format.name for row_format in ROW_FORMATS]
    if shape is not None and shape not in names:
        raise DataError(f"dataset.shape={shape} is unknown: {did_you_mean(shape, names)}.")
    rows = iter(rows)
    first = list(islice(rows, _SAMPLE_ROWS))
    sample = [row for row in first if isinstance(row, Row)]
    all_rows = chain(first, rows)
    if first and isinstance(first[0], BadRow) and not sample:
        raise DataError(
            f"{first[0].where}: {first[0].message}; as none of the first {len(first)} rows can be used, their columns "
            "are unknown."
        )
    if not sample:
        return DetectedColumns(set_columns), all_rows  # the code that reads the rows reports that there are none
    _require_no_preferences(sample[0], roles)
    for row_format in ROW_FORMATS:
        if shape in (None, row_format.name):
            mapping = _match_format(row_format, sample, set_columns, roles)
            if mapping is not None:
                return DetectedColumns(mapping, row_format.name), all_rows
    roles_by_name = [role for role in roles.all if role not in roles.sparse]
    named = {role: role for role in roles_by_name if any(role in row.values for row in sample)} | set_columns
    if shape is None and all(role in named for role in roles.required):  # of a task kind without a known format
        return DetectedColumns(named, "/".join(roles.required)), all_rows
    present = sorted({_printable(name) for row in sample for name in row.values})
    missing = [role for role in roles.required if role not in set_columns]
    problem = f"are not of the shape {shape}" if shape else f"fit no known shape for {', '.join(roles.required)}"
    raise DataError(
        f"{sample[0].where}: these rows {problem} (their columns: "
        f"{', '.join(present[:_MAX_COLUMNS_SHOWN]) or 'none'}): "
        f"set {' and '.join(_setting(role, columns) for role in missing or roles.required)}"
        f"{_hint(sample, roles) or _names_hint(sample, missing or roles.required)}."
    )


def _match_format(
    row_format: RowFormat, sample: Sequence[Row], set_columns: Mapping[str, str | list[str]], roles: Roles
) -> dict[str, str | list[str]] | None:
    """Return role -> column if the rows are of this format; None if they are not."""
    present = {str(name).casefold(): str(name) for row in reversed(sample) for name in row.values}
    mapping: dict[str, str | list[str]] = dict(set_columns)
    for role in roles.all:
        names = [present[name] for name in row_format.columns.get(role, ()) if name in present]
        if row_format.turn_keys:
            names = [name for name in names if _has_turns(sample, name, row_format.turn_keys)]
        if names and role not in set_columns:
            mapping[role] = names[0]
    if any(role not in mapping for role in row_format.required_roles):
        return None
    if not row_format.turn_keys and any(role not in row_format.columns for role in roles.required):
        return None  # a format of another task that has a role of the same name
    if row_format.turn_keys:
        return {role: mapping[role] for role in (roles.conversation,) if role and role in mapping} or None
    if not mapping.keys() - set_columns.keys() or any(role not in mapping for role in roles.required):
        return None
    return {role: mapping[role] for role in roles.all if role in mapping}


def _hint(sample: Sequence[Row], roles: Roles) -> str:
    """Return what else may be needed, for rows whose labels are in columns of 0 and 1, or in front of the text."""
    if not {"label", "labels"} & {*roles.required}:
        return ""
    if any(_LABEL_PREFIX.match(str(row.values.get("text", ""))) for row in sample):
        return ", or dataset.source.format=labelled for lines that begin with a label"
    if hint := _annotation_hint(sample[0], "label" if "label" in roles.required else "labels"):
        return hint
    values: dict[str, set[str]] = {}
    for row in sample:
        for name, value in row.values.items():
            values.setdefault(str(name), set()).add(str(value).strip().lower())
    flags = [name for name, distinct in values.items() if distinct <= _FLAGS]
    if len(flags) < 2:
        return ""
    listed = ",".join(_printable(name) for name in flags)
    return f"; columns of 0 and 1 are labels each with dataset=multilabel_files 'dataset.columns.labels=[{listed}]'"


def _annotation_hint(row: Row, role: str) -> str:
    """Return what to do with choices that Prodigy or Label Studio has written."""
    if isinstance(row.values.get("accept"), list):
        return f"; Prodigy's choices are read with dataset.columns.text=text and dataset.columns.{role}=accept"
    if isinstance(row.values.get("data"), Mapping) and isinstance(row.values.get("annotations"), list):
        return (
            "; this is the JSON export of Label Studio: export the task as JSON-MIN or CSV instead, and set "
            f"dataset.columns.{role} to the name of the choice in its labelling interface"
        )
    return ""


def _setting(role: str, columns: Columns) -> str:
    """Return how a role's column is set: one that the preset of the data set does not have is added with a plus."""
    return f"dataset.columns.{role}" if role in columns else f"+dataset.columns.{role}=COLUMN"


def _names_hint(sample: Sequence[Row], roles: Sequence[str]) -> str:
    """Return how to name the columns of a table whose header line is a row: its names are long, numbers, or values."""
    names = [str(name) for name in sample[0].values]
    values = {name: [str(row.values.get(name, "")) for row in sample] for name in names}
    is_row = any(name in values[name] or name.count(" ") > 2 or name.isdecimal() for name in names)
    if not is_row:
        return ""
    by_length = sorted(names, key=lambda name: -sum(map(len, values[name])))  # the longest texts come first
    role_of = dict(zip(by_length, roles, strict=False)) if len(names) == len(roles) else {}
    typed = ",".join(role_of.get(name, f"column{number}") for number, name in enumerate(names, 1))
    return f"; or, if the first line is a row and no header, name the columns with dataset.source.names=[{typed}]"


def _printable(name: object) -> str:
    """Return a column's name as it can be shown in a message: short, and without characters that cannot be encoded."""
    return shorten(str(name).encode(errors="replace").decode(), width=40) or repr(name)


def _has_turns(sample: Sequence[Row], column: str, keys: tuple[str, str]) -> bool:
    values = [value for row in sample if isinstance(value := turns_at(row.values, column), list) and value]
    return any(isinstance(turn, Mapping) and keys[0] in turn for value in values for turn in value[:1])


def _require_no_preferences(row: Row, roles: Roles) -> None:
    """Refuse preference data: its rejected responses would be learned like the chosen ones."""
    marks = [name for name in ("label", "kto_tag") if isinstance(row.values.get(name), bool)]
    if {"chosen", "rejected"} <= row.values.keys():
        marks = ["chosen", "rejected"]
    if "response" in roles.all and marks:
        raise DataError(
            f"{row.where}: these rows are preference data ({', '.join(marks)}), from which no task here learns: "
            "keep the better responses only, and set dataset.columns."
        )
