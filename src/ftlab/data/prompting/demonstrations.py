"""Few-shot examples: training rows that are put before each prompt, and the file that stores them."""

import json
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

from ftlab.config.task import Task
from ftlab.core.atomic import write_text
from ftlab.core.errors import DataError, reason
from ftlab.data.rows.row import Row, canonical_json, example_ids
from ftlab.data.rows.splits import SplitKey

_FILE = "demonstrations.json"


def balanced_shuffle(rows: Sequence[Row], keys: Iterable[SplitKey], seed: int) -> Iterator[Row]:
    """Yield the rows shuffled by the seed, one of each stratum in turn, so that the first k are balanced."""
    generator = random.Random(seed)
    strata: dict[str, list[int]] = defaultdict(list)
    for index, key in enumerate(keys):
        strata[key.stratum].append(index)
    members = [strata[name] for name in sorted(strata)]
    generator.shuffle(members)
    for stratum in members:
        generator.shuffle(stratum)
    for one_of_each in zip_longest(*members):
        yield from (rows[index] for index in one_of_each if index is not None)


def to_demonstrations(selected: Sequence[Row], task: Task, num_rows: int) -> list[dict[str, str]]:
    """Return the few-shot examples as role -> text, with the `id` of each.

    Args:
        selected: the rows that were drawn and fit.
        task: the task adapted to the method; `shots` is the number of examples.
        num_rows: number of rows they were drawn from.

    Raises:
        DataError: too few rows fit.
    """
    if len(selected) < task.shots:
        raise DataError(
            f"only {len(selected)} of {num_rows} training rows fit as few-shot examples of at most {task.shot_tokens} "
            f"tokens, and method.shots={task.shots} asks for more: raise method.shot_tokens, or lower method.shots."
        )
    return [{"id": example_ids([canonical_json(row.values)])[0], **row.values} for row in selected]


def check_context_length(task: Task, max_length: int, context_length: int, *, model: str) -> None:
    """Refuse a max_length that, together with the few-shot examples, may exceed the model's context length.

    Args:
        task: the task adapted to the method.
        max_length: maximum number of tokens of a prompt.
        context_length: maximum number of tokens that the model reads.
        model: name of the model.

    Raises:
        DataError: it does; names the settings to lower.
    """
    if max_length > context_length:
        raise DataError(
            f"{model} reads at most {context_length} tokens, max_length is {max_length}: "
            f"set dataset.max_length={context_length}."
        )
    if max_length + task.shots * task.shot_tokens > context_length:
        raise DataError(
            f"{model} reads at most {context_length} tokens, and {task.shots} few-shot examples of up to "
            f"{task.shot_tokens} tokens before a prompt of up to {max_length} may be more: lower method.shots, "
            "method.shot_tokens or dataset.max_length."
        )


def save(demonstrations: Sequence[Mapping[str, str]], directory: Path) -> int:
    """Write the few-shot examples of a run, if any, to demonstrations.json; return its size in bytes.

    The prompt of the run can be rebuilt from them.
    """
    if not demonstrations:
        return 0
    text = json.dumps(demonstrations, ensure_ascii=False, indent=1)
    return write_text(directory / _FILE, text).stat().st_size


def load(directory: Path) -> list[dict[str, str]]:
    """Return the few-shot examples that `save` wrote.

    Raises:
        DataError: the file is missing or unreadable.
    """
    path = directory / _FILE
    try:
        demonstrations: list[dict[str, str]] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} with the run's few-shot examples cannot be read ({reason(error, named=path)}): run it again."
        ) from None
    return demonstrations
