"""Which row is in which split: decided by what is in the row and by split_seed, never by the run's seed."""

import hashlib
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ftlab.data.rows import Row
from ftlab.errors import DataError


@dataclass(frozen=True, slots=True)
class Unit:
    """What splitting sees of a row.

    Attributes:
        key: rows with equal keys stay together, so that no test row has been seen in training.
        stratum: every split gets its share of each stratum.
    """

    key: str
    stratum: str = ""


def carve(
    rows: Sequence[Row], units: Sequence[Unit], fractions: Mapping[str, float], seed: int
) -> dict[str, list[Row]]:
    """Split rows into train and one split per fraction, stratified; the order of the rows is kept.

    A stratum too small for every split is in train first; rows that must stay together may move a size a little.

    Raises:
        DataError: a split would be empty.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for index, unit in enumerate(units):
        groups[unit.key].append(index)
    waiting: dict[str, list[list[int]]] = defaultdict(list)  # stratum -> groups, in the order that the seed gives them
    for key in sorted(groups, key=lambda key: _draw(seed, "split", key)):
        waiting[units[groups[key][0]].stratum].append(groups[key])
    sizes = {stratum: sum(map(len, members)) for stratum, members in sorted(waiting.items())}

    chosen = {}
    for split, fraction in fractions.items():
        # One row of each stratum stays for training, however small the stratum.
        room = {stratum: sum(map(len, waiting[stratum])) - 1 for stratum in sizes}
        quota = allocate(sizes, max(1, round(len(rows) * fraction)), room)
        taken: list[int] = []
        for stratum, places in quota.items():
            left = []
            for group in waiting[stratum]:
                if len(group) <= places:
                    taken += group
                    places -= len(group)
                else:
                    left.append(group)
            waiting[stratum] = left
        chosen[split] = taken
    chosen["train"] = [index for members in waiting.values() for group in members for index in group]
    for split, indices in chosen.items():
        if not indices:
            raise DataError(
                f"of {len(rows)} rows none is left for {split} (training keeps one of each label, equal texts stay "
                f"together): give more rows, a larger dataset.{split}_fraction, or a {split} split of its own."
            )
    return {split: [rows[index] for index in sorted(chosen[split])] for split in ("train", *fractions)}


def limit(rows: Sequence[Row], units: Sequence[Unit], most: int | None, seed: int) -> list[Row]:
    """Return at most `most` of the rows, stratified, with every stratum if there is room; the order is kept."""
    if most is None or most >= len(rows):
        return list(rows)
    strata: dict[str, list[int]] = defaultdict(list)
    for index in sorted(range(len(rows)), key=lambda index: (_draw(seed, "limit", units[index].key), index)):
        strata[units[index].stratum].append(index)
    sizes = {stratum: len(members) for stratum, members in sorted(strata.items())}
    first = 1 if most >= len(sizes) else 0  # one of each before shares are worked out
    rest = {stratum: size - first for stratum, size in sizes.items()}
    quota = {stratum: first + more for stratum, more in allocate(rest, most - first * len(sizes), rest).items()}
    return [
        rows[index] for index in sorted(i for stratum, members in strata.items() for i in members[: quota[stratum]])
    ]


def allocate(sizes: Mapping[str, int], total: int, room: Mapping[str, int]) -> dict[str, int]:
    """Share `total` places out in proportion to the sizes, by largest remainder (Hamilton), within the room of each.

    Fewer places are given where the room is too small. Ties go to the stratum with fewer places, then by name.
    """
    whole = sum(sizes.values())
    share = {stratum: total * size / whole for stratum, size in sizes.items()}
    quota = {stratum: min(math.floor(share[stratum]), room[stratum]) for stratum in sizes}
    for _ in range(total - sum(quota.values())):
        open_strata = [stratum for stratum in sizes if quota[stratum] < room[stratum]]
        if not open_strata:
            break
        quota[min(open_strata, key=lambda stratum: (quota[stratum] - share[stratum], quota[stratum], stratum))] += 1
    return quota


def overlap(units: Sequence[Unit], train: Sequence[Unit]) -> int:
    """Return how many of the units have their key in training."""
    seen = {unit.key for unit in train}
    return sum(unit.key in seen for unit in units)


def _draw(seed: int, purpose: str, key: str) -> bytes:
    """A lot for each key. Unlike a shuffle it depends neither on the order of the rows nor on Python's generator."""
    return hashlib.sha256(f"{seed}\t{purpose}\t{key}".encode()).digest()
