"""Which training rows are shown solved ahead of each question, and where a run keeps them."""

import json
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

from ftlab.data.rows import Row, canonical, example_ids
from ftlab.data.splits import Unit
from ftlab.errors import DataError
from ftlab.tasks.spec import Task

_FILE = "demonstrations.json"


def drawn(rows: Sequence[Row], units: Iterable[Unit], seed: int) -> Iterator[Row]:
    """Yield the rows in an order that the seed decides, one of each stratum in turn: the first k are balanced."""
    draw = random.Random(seed)
    strata: dict[str, list[int]] = defaultdict(list)
    for place, unit in enumerate(units):
        strata[unit.stratum].append(place)
    members = [strata[name] for name in sorted(strata)]
    draw.shuffle(members)
    for stratum in members:
        draw.shuffle(stratum)
    for turn in zip_longest(*members):
        yield from (rows[place] for place in turn if place is not None)


def demonstrated(shown: Sequence[Row], task: Task, rows: int) -> list[dict[str, str]]:
    """Return the rows to show, as role -> text and `id`.

    Args:
        shown: those that were drawn and can be shown.
        task: as posed; it says how many are wanted.
        rows: how many they were drawn from.

    Raises:
        DataError: there are too few.
    """
    if len(shown) < task.shots:
        raise DataError(
            f"{len(shown)} of {rows} training rows can be shown as demonstrations of at most {task.shot_tokens} "
            f"tokens, and method.shots={task.shots} are wanted: raise method.shot_tokens, or lower method.shots."
        )
    return [{"id": example_ids([canonical(row.values)])[0], **row.values} for row in shown]


def require_room(task: Task, max_length: int, *, model: str, most: int) -> None:
    """Refuse questions that, with the demonstrations ahead of them, may be longer than the model reads.

    Args:
        task: as posed.
        max_length: most tokens of a question.
        model: its name.
        most: tokens that it reads.

    Raises:
        DataError: names what to lower.
    """
    if max_length > most:
        raise DataError(
            f"{model} reads at most {most} tokens, max_length is {max_length}: set dataset.max_length={most}."
        )
    if max_length + task.shots * task.shot_tokens > most:
        raise DataError(
            f"{model} reads at most {most} tokens, and {task.shots} demonstrations of up to {task.shot_tokens} ahead "
            f"of a question of up to {max_length} may be more: lower method.shots, method.shot_tokens or "
            "dataset.max_length."
        )


def save(demonstrations: Sequence[Mapping[str, str]], directory: Path) -> int:
    """Write a run's demonstrations, if it has any, as demonstrations.json; return its size in bytes.

    The run's prompt can be made again from them.
    """
    if not demonstrations:
        return 0
    text = json.dumps(demonstrations, ensure_ascii=False, indent=1)
    return (directory / _FILE).write_bytes(text.encode())


def load(directory: Path) -> list[dict[str, str]]:
    """Return the demonstrations that `save` wrote.

    Raises:
        DataError: there are none, or they cannot be read.
    """
    path = directory / _FILE
    try:
        shown: list[dict[str, str]] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}, the examples that the run showed, cannot be read ({error}): run it again.") from None
    return shown
