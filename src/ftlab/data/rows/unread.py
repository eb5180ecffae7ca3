"""Count of the columns, and of the keys of messages, that hold something and are not read."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ftlab.config.task_kind import REFERENCES, Roles
from ftlab.data.rows.conversations import SYSTEM_COLUMNS, columns_read, keys_not_read, turns_at
from ftlab.data.rows.list_texts import parse_list_text
from ftlab.data.rows.references import read_references

# What these hold may say what is to be learned, or belong to what the model reads: a warning, not a note.
_TELLING = frozenset(
    {
        *("weight", "weights", "loss", "loss_weight", "loss_weights", "loss_scale", "loss_mask", "mask", "masked"),
        *("train", "training", "train_detail", "training_detail", "train_on_turn", "completion_mask", "prefix"),
        *("system", "system_prompt", "system_message", "systemprompt", "input", "context", "history", "documents"),
        *("tools", "functions", "tool_calls", "function_call"),
        *("image", "images", "video", "videos", "audio", "audios"),
        *("reasoning", "reasoning_content", "thinking", "think", "thought", "thoughts", "cot", "chain_of_thought"),
        *("rationale", "chat_template", "chat_template_kwargs"),
        *("系统", "系统提示", "历史", "输入", "思考"),
    }
)
_ROLE_OF = {
    **dict.fromkeys(("system", "system_prompt", "system_message", "systemprompt", "系统", "系统提示"), "system"),
    **dict.fromkeys(("history", "历史"), "history"),
    **dict.fromkeys(("input", "context", "输入"), "input"),
}
_REASONING = frozenset(("think", "thought", "thoughts", "cot", "chain_of_thought", "rationale", "思考"))
_FLAGS = frozenset(("loss", "mask", "train", "weight"))  # in the names of keys that say what is learned
_MAX_SHOWN = 12  # names in a sentence
_EMPTY: tuple[Any, ...] = (None, "", [], {}, "[]")


class UnreadFields:
    """Counter of the columns, and of the keys of messages, that hold something and are not read, over all rows.

    Attributes:
        num_rows: number of rows that were counted.
        columns: column -> number of rows in which it holds something.
        keys: key of a message -> number of rows with a message in which it holds something.
        sparse_in_use: sparse role -> column in which some row has it.
    """

    def __init__(self, sparse: Mapping[str, Sequence[str]], also_read: Sequence[str] = ()) -> None:
        """Start with no rows.

        Args:
            sparse: sparse role -> columns in which it is looked for where `dataset.columns` does not name one.
            also_read: columns that are read for another purpose, as that with the name of the split.
        """
        self.num_rows = 0
        self.columns: Counter[str] = Counter()
        self.keys: Counter[str] = Counter()
        self.sparse_in_use: dict[str, str] = {}
        self._free_roles = set[str]()  # that dataset.columns could set as well
        self._system_columns = set[str]()  # looked at already, beside conversations
        self._sparse = sparse
        self._also_read = frozenset(also_read)

    def with_sparse(
        self, mapping: Mapping[str, str | list[str]], values: Mapping[str, Any], roles: Roles
    ) -> Mapping[str, str | list[str]]:
        """Return role -> column with the sparse roles that this row has; a conversation has its own."""
        if roles.conversation and roles.conversation in mapping:
            return mapping
        columns = {role: name for role in self._sparse if role not in mapping and (name := self._column(role, values))}
        return {**mapping, **columns} if columns else mapping

    def count(self, values: Mapping[str, Any], mapping: Mapping[str, str | list[str]], roles: Roles) -> None:
        """Count a row that could be mapped.

        Args:
            values: column -> value of the row.
            mapping: role -> column; see `with_sparse`.
            roles: those of the task.
        """
        self.num_rows += 1
        columns = {name for names in mapping.values() for name in ([names] if isinstance(names, str) else names)}
        if roles.conversation and roles.conversation in mapping:
            turns: Sequence[Mapping[str, Any]] = turns_at(values, str(mapping[roles.conversation]))
            system_columns = [str(mapping["system"])] if "system" in mapping else SYSTEM_COLUMNS
            columns = (columns - {*system_columns}) | columns_read(values, turns, system_columns)
            self.keys.update({key for turn in turns for key in keys_not_read(turn) if not _is_empty(turn[key])})
            self._system_columns.update(system_columns)
            self._free_roles.update({"system"} & {*roles.sparse} - mapping.keys())
        else:
            self._free_roles.update({*roles.optional, *roles.sparse} - mapping.keys())
        for role in self._sparse:
            if role in mapping:
                self.sparse_in_use.setdefault(role, str(mapping[role]))
        read = {column if column in values else column.partition(".")[0] for column in columns} | self._also_read
        self.columns.update(str(name) for name, value in values.items() if name not in read and not _is_empty(value))

    def _column(self, role: str, values: Mapping[str, Any]) -> str | None:
        name = next((name for name in self._sparse[role] if not _is_empty(values.get(name))), None)
        if role != REFERENCES or name is None:
            return name
        value = values[name]  # lists alone are taken for right answers: else it may be what a text cites
        listed = parse_list_text(value) if isinstance(value, str) else read_references(value)
        return None if listed is None else name

    def sentences(self) -> tuple[list[str], list[str]]:
        """Return notes, and warnings: fields whose names say that they may decide what is learned are warned of."""
        names = [(f"column {name}", name, count) for name, count in self.columns.most_common()]
        names += [(f"key {name} of messages", name, count) for name, count in self.keys.most_common()]
        telling = [(shown, count) for shown, name, count in names if name.casefold() in _TELLING]
        others = [(shown, count) for shown, name, count in names if name.casefold() not in _TELLING]
        columns = [name for name, _ in self.columns.most_common() if name.casefold() in _TELLING]
        keys = [name for name, _ in self.keys.most_common() if name.casefold() in _TELLING]
        remedies = dict.fromkeys([*map(self._column_remedy, columns), *map(_key_remedy, keys)])
        warnings = [
            f"{self._listed(telling)}: not read, though the name says that it may belong to what is learned; "
            f"{'; '.join([*remedies][:_MAX_SHOWN])}."
        ]
        return ([f"not read: {self._listed(others)}"] if others else []), (warnings if telling else [])

    def _column_remedy(self, column: str) -> str:
        """Return what to do about a column; only one of a role that is still free can be named in dataset.columns."""
        role = _ROLE_OF.get(column.casefold())
        if role in self._free_roles and column not in self._system_columns:
            plus = "" if role == "input" else "+"
            return f"set {plus}dataset.columns.{role}={column}, or remove column {column} if it does not matter"
        return f"remove column {column} if it does not matter"

    def _listed(self, counts: Sequence[tuple[str, int]]) -> str:
        shown = [f"{name} ({count} of {self.num_rows} rows)" for name, count in counts[:_MAX_SHOWN]]
        more = len(counts) - len(shown)
        return ", ".join(shown) + (f" and {more} more" if more else "")


def _key_remedy(key: str) -> str:
    name = key.casefold()
    if name in _REASONING:
        return f"rename key {key} to reasoning_content if it is what the assistant thinks, or remove it"
    if any(flag in name for flag in _FLAGS):
        return f"remove key {key}, or write what it says as weight: 0 on the messages that are only read"
    return f"remove key {key}, or write what it says into the content"


def _is_empty(value: Any) -> bool:
    return value in _EMPTY or value != value  # NaN
