"""Flags that say whether a turn is learned: as keys of a message, as a list with one for each message, or of a row."""

from collections.abc import Mapping, Sequence
from typing import Any

from ftlab.data.rows.list_texts import parse_list_text
from ftlab.data.rows.row import UnusableValue

MASK_COLUMNS = ("loss_mask", "completion_mask", "loss_weights", "weights")  # a list with 0 or 1 for each message
ROW_FLAGS = ("weight", "loss_weight", "loss_scale", "train", "training")
# Whether a turn is learned: OpenAI, mistral-finetune; axolotl (three names); ms-swift, XTuner; torchtune, inverted;
# ms-swift's loss_scale; the names of masks.
_FLAGS = (
    *("weight", "train", "training", "train_on_turn", "loss", "masked"),
    *("loss_weight", "loss_scale", *MASK_COLUMNS),
)
_INVERTED = "masked"
_FLAGS_OF_PARTS = ("train_detail", "training_detail")  # axolotl: offsets of the parts that are learned
FLAG_KEYS = frozenset((*_FLAGS, *_FLAGS_OF_PARTS))
_BAD, _NOTHING = "bad conversation", "nothing to learn"
_DIGITS = {"true": "1", "false": "0"}


def is_learned(turn: Mapping[str, Any], role: str, number: int) -> bool:
    """Return what the flags of a turn say; an answer without a flag is learned.

    Args:
        turn: the message, as the file has it.
        role: system, user or assistant.
        number: of the turn, from 1.

    Raises:
        UnusableValue: a flag is neither 0 nor 1, flags disagree, or they ask to learn what is no answer.
    """
    parts = next((key for key in _FLAGS_OF_PARTS if turn.get(key)), None)
    if parts is not None:
        raise UnusableValue(
            _BAD,
            f"learns only parts of turn {number} ({parts}), which is not supported: flag whole answers with weight",
        )
    flags = {key: flag for key in _FLAGS if not _is_unset(flag := turn.get(key))}
    for key, flag in flags.items():
        if flag not in (0, 1):  # True and False are 1 and 0
            raise UnusableValue(
                _BAD, f"holds {key}={flag!r} in turn {number}: only 0 (read) and 1 (learn) are supported, so use these"
            )
    is_flagged = {key: bool(flag) != (key == _INVERTED) for key, flag in flags.items()}
    if len(set(is_flagged.values())) > 1:
        raise UnusableValue(_BAD, f"holds flags that disagree in turn {number} ({', '.join(flags)}): keep one")
    learned = next(iter(is_flagged.values()), role == "assistant")
    if learned and role != "assistant":
        raise UnusableValue(
            _BAD,
            f"asks to learn turn {number}, which is the {role}'s ({', '.join(flags)}): only answers are learned, so "
            "remove the flag there, or set dataset.loss_on=all after removing all flags",
        )
    return learned or role != "assistant"


def require_learned_row(row: Mapping[str, Any]) -> None:
    """Refuse a row whose own flag says that nothing of it is learned, or how much of it.

    Raises:
        UnusableValue: a flag of the row is 0, or neither 0 nor 1; it names the column.
    """
    for column in ROW_FLAGS:
        if _is_unset(flag := row.get(column)):
            continue
        number = _number(flag)
        if number == 0:
            raise UnusableValue(
                _NOTHING,
                f"holds {flag!r} for the whole row, so there is no answer to learn: remove the row, or flag the "
                "answers that are only read with weight: 0 in their messages",
                column,
            )
        if number != 1:
            raise UnusableValue(
                _BAD,
                f"holds {flag!r} for the whole row: only 1 (learn) is supported, so use this, or rename the column if "
                "it means something else",
                column,
            )


def masked_turns(turns: Sequence[Any], row: Mapping[str, Any]) -> list[Any]:
    """Return the turns with what the row's masks say of each as its flag, under the mask's name.

    Args:
        turns: messages, as the file has them.
        row: all columns of the row.

    Raises:
        UnusableValue: a mask is no list with one 0 or 1 for each message; it names the column.
    """
    masked = [*turns]
    for column in MASK_COLUMNS:
        mask = row.get(column)
        if _is_unset(mask) or mask in ([], "[]"):
            continue
        flags = parse_list_text(mask) if isinstance(mask, str) else mask
        if not isinstance(flags, list) or len(flags) != len(turns) or any(flag not in (0, 1) for flag in flags):
            held = f"{len(flags)} items" if isinstance(flags, list) else repr(mask)[:40]
            raise UnusableValue(
                _BAD,
                f"holds {held} beside {len(turns)} messages: expected is a list with one 0 (read) or 1 (learn) for "
                "each message, so correct it, or remove it and write weight: 0 in the messages that are only read",
                column,
            )
        for index, (turn, flag) in enumerate(zip(masked, flags, strict=True)):
            if isinstance(turn, Mapping):
                masked[index] = {**turn, column: flag}
    return masked


def _is_unset(flag: Any) -> bool:
    return flag is None or flag == "" or flag != flag  # NaN: of a table


def _number(flag: Any) -> Any:
    """Return a flag as a number, also that of a table; anything else as it is."""
    if not isinstance(flag, str):
        return flag
    try:
        return float(_DIGITS.get(flag.strip().lower(), flag))
    except ValueError:
        return flag
