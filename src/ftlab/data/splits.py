"""Which row is in which split: decided by what is in the row and by split_seed, never by the run's seed."""

import hashlib
import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ftlab.data.rows import Row
from ftlab.data.stored import at
from ftlab.errors import DataError

_LOT = 16  # bytes


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
    rows: Sequence[Row], units: Iterable[Unit], fractions: Mapping[str, float], seed: int
) -> dict[str, Sequence[Row]]:
    """Split rows into train and one split per fraction, stratified; the order of the rows is kept.

    A stratum too small for every split is in train first; rows that must stay together may move a size a little.

    Raises:
        DataError: a split would be empty.
    """
    lots, stratum_of, names = _lots(units, seed, "split")
    order = np.argsort(lots, kind="stable")  # equal keys side by side, in the order that the seed gives them
    begins = np.ones(len(order), bool)
    begins[1:] = lots[order[1:]] != lots[order[:-1]]
    group_of = np.cumsum(begins) - 1  # of the rows in this order
    members = np.bincount(group_of)  # rows of each group
    stratum_of_group = stratum_of[order[begins]]
    whole = _rows_of(stratum_of_group, members, len(names))
    # A stratum may be left without a group: equal texts are all of the stratum of the first.
    sizes = {name: size for name, size in zip(names, whole, strict=True) if size}

    split_of_group = np.zeros(len(members), np.int8)  # 0: train
    for number, fraction in enumerate(fractions.values(), 1):
        waiting = split_of_group == 0
        left = _rows_of(stratum_of_group[waiting], members[waiting], len(names))
        # One row of each stratum stays for training, however small the stratum.
        room = {name: rows_left - 1 for name, rows_left in zip(names, left, strict=True) if name in sizes}
        quota = allocate(sizes, max(1, round(len(rows) * fraction)), room)
        groups = np.flatnonzero(waiting)
        for name, of_stratum in zip(names, _parted(stratum_of_group[groups], len(names)), strict=True):
            places = quota.get(name, 0)
            for group in groups[of_stratum]:
                if members[group] <= places:
                    split_of_group[group] = number
                    places -= members[group]
                if places <= 0:
                    break
    split_of_row = np.empty(len(order), np.int8)
    split_of_row[order] = split_of_group[group_of]
    chosen = {split: np.flatnonzero(split_of_row == number) for number, split in enumerate(("train", *fractions))}
    for split in (*fractions, "train"):
        if not len(chosen[split]):
            raise DataError(
                f"of {len(rows)} rows none is left for {split} (training keeps one of each label, equal texts stay "
                f"together): give more rows, a larger dataset.{split}_fraction, or a {split} split of its own."
            )
    return {split: at(rows, places) for split, places in chosen.items()}


def limit(rows: Sequence[Row], units: Iterable[Unit], most: int | None, seed: int) -> Sequence[Row]:
    """Return at most `most` of the rows, stratified, with every stratum if there is room; the order is kept."""
    if most is None or most >= len(rows):
        return rows
    lots, stratum_of, names = _lots(units, seed, "limit")
    order = np.argsort(lots, kind="stable")
    strata = [order[places] for places in _parted(stratum_of[order], len(names))]
    sizes = {name: len(members) for name, members in zip(names, strata, strict=True)}
    first = 1 if most >= len(sizes) else 0  # one of each before shares are worked out
    rest = {stratum: size - first for stratum, size in sizes.items()}
    quota = {stratum: first + more for stratum, more in allocate(rest, most - first * len(sizes), rest).items()}
    kept = [members[: quota[name]] for name, members in zip(names, strata, strict=True)]
    return at(rows, np.sort(np.concatenate(kept)))


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


def overlap(units: Mapping[str, Iterable[Unit]], train: Iterable[Unit]) -> dict[str, int]:
    """Return how many of the units of each split have their key in training."""
    seen, _, _ = _lots(train)
    return {split: int(np.isin(_lots(of_split)[0], seen).sum()) for split, of_split in units.items()}


def repeated(units: Iterable[Unit]) -> int:
    """Return how many of the units have the key of an earlier one."""
    lots, _, _ = _lots(units)
    return len(lots) - len(np.unique(lots))


def _lots(
    units: Iterable[Unit], seed: int = 0, purpose: str = ""
) -> tuple[NDArray[np.bytes_], NDArray[np.int32], list[str]]:
    """Return a lot for each key, the number of each stratum, and the names of the strata, sorted.

    Unlike a shuffle, lots depend neither on the order of the rows nor on Python's generator. Keys are as large as the
    data: none is kept.

    Returns:
        (rows,) of 16 bytes each, (rows,), and the names that the numbers stand for.
    """
    lots, numbers, names = bytearray(), array("i"), dict[str, int]()
    key, lot = None, b""
    for unit in units:
        if unit.key is not key:  # neighbours may share one, of great length
            key = unit.key
            lot = hashlib.sha256(f"{seed}\t{purpose}\t{key}".encode()).digest()[:_LOT]
        lots += lot
        numbers.append(names.setdefault(unit.stratum, len(names)))
    by_name = sorted(names)
    place = np.empty(len(names), np.int32)
    place[[names[name] for name in by_name]] = np.arange(len(names))
    return np.frombuffer(lots, f"S{_LOT}"), place[np.array(numbers, np.int32)], by_name


def _parted(numbers: NDArray[np.int32], kinds: int) -> list[NDArray[np.int64]]:
    """Return for each kind the places at which its number stands, in order."""
    return np.split(np.argsort(numbers, kind="stable"), np.cumsum(np.bincount(numbers, minlength=kinds))[:-1])


def _rows_of(stratum_of_group: NDArray[np.int32], members: NDArray[np.int64], strata: int) -> list[int]:
    """Return how many rows each stratum has in these groups."""
    counts = np.zeros(strata, np.int64)
    np.add.at(counts, stratum_of_group, members)
    found: list[int] = counts.tolist()
    return found
