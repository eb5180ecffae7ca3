"""Stratified splits and subsets by hash: they depend on the rows' content and on split_seed, not on the run's seed."""

import hashlib
import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ftlab.core.errors import DataError
from ftlab.data.rows.row import Row
from ftlab.data.rows.row_store import select_rows

_HASH_BYTES = 16


@dataclass(frozen=True, slots=True)
class SplitKey:
    """Group and stratum of a row, which decide on its split.

    Attributes:
        group: rows of equal group stay in one split, so that no test row has been seen in training.
        stratum: every split has the same proportion of each stratum.
    """

    group: str
    stratum: str = ""


def carve_splits(
    rows: Sequence[Row], keys: Iterable[SplitKey], fractions: Mapping[str, float], seed: int
) -> dict[str, Sequence[Row]]:
    """Split rows into train and one split per fraction, stratified; the order of the rows is kept.

    A stratum too small for every split goes to train first. Groups of several rows may change a size slightly.

    Raises:
        DataError: a split would be empty.
    """
    hashes, stratum_of_row, names = _hash_keys(keys, seed, "split")
    order = np.argsort(hashes, kind="stable")  # rows of a group are adjacent, and the seed decides the groups' order
    is_first = np.ones(len(order), bool)
    is_first[1:] = hashes[order[1:]] != hashes[order[:-1]]
    group_of_row = np.cumsum(is_first) - 1  # rows in sorted order
    group_sizes = np.bincount(group_of_row)
    stratum_of_group = stratum_of_row[order[is_first]]
    stratum_sizes = _rows_per_stratum(stratum_of_group, group_sizes, len(names))
    # A stratum may have no group: the first row of a group decides the stratum of all its rows.
    sizes = {name: size for name, size in zip(names, stratum_sizes, strict=True) if size}

    split_of_group = np.zeros(len(group_sizes), np.int8)  # 0: train
    for number, fraction in enumerate(fractions.values(), 1):
        in_train = split_of_group == 0
        train_rows = _rows_per_stratum(stratum_of_group[in_train], group_sizes[in_train], len(names))
        # One row of each stratum stays in train, however small the stratum is.
        capacity = {name: count - 1 for name, count in zip(names, train_rows, strict=True) if name in sizes}
        quota = allocate(sizes, max(1, round(len(rows) * fraction)), capacity)
        groups = np.flatnonzero(in_train)
        for name, of_stratum in zip(names, _indices_by_stratum(stratum_of_group[groups], len(names)), strict=True):
            remaining = quota.get(name, 0)
            for group in groups[of_stratum]:
                if group_sizes[group] <= remaining:
                    split_of_group[group] = number
                    remaining -= group_sizes[group]
                if remaining <= 0:
                    break
    split_of_row = np.empty(len(order), np.int8)
    split_of_row[order] = split_of_group[group_of_row]
    indices = {split: np.flatnonzero(split_of_row == number) for number, split in enumerate(("train", *fractions))}
    for split in (*fractions, "train"):
        if not len(indices[split]):
            raise DataError(
                f"of {len(rows)} rows none is left for {split} (training keeps one of each label, equal texts stay "
                f"together): give more rows, a larger dataset.{split}_fraction, or a {split} split of its own."
            )
    return {split: select_rows(rows, of_split) for split, of_split in indices.items()}


def stratified_subset(rows: Sequence[Row], keys: Iterable[SplitKey], limit: int | None, seed: int) -> Sequence[Row]:
    """Return at most `limit` rows, stratified, with every stratum if the limit allows it; the order is kept."""
    if limit is None or limit >= len(rows):
        return rows
    hashes, stratum_of_row, names = _hash_keys(keys, seed, "limit")
    order = np.argsort(hashes, kind="stable")
    strata = [order[indices] for indices in _indices_by_stratum(stratum_of_row[order], len(names))]
    sizes = {name: len(members) for name, members in zip(names, strata, strict=True)}
    minimum = 1 if limit >= len(sizes) else 0  # one row of each stratum comes before the proportions
    rest = {stratum: size - minimum for stratum, size in sizes.items()}
    extra = allocate(rest, limit - minimum * len(sizes), rest)
    chosen = [members[: minimum + extra[name]] for name, members in zip(names, strata, strict=True)]
    return select_rows(rows, np.sort(np.concatenate(chosen)))


def allocate(sizes: Mapping[str, int], total: int, capacity: Mapping[str, int]) -> dict[str, int]:
    """Divide `total` among strata in proportion to their sizes, by largest remainder (Hamilton), up to each capacity.

    The sum is below `total` if the capacities are too small. Ties go to the stratum with the smaller quota, then by
    name.
    """
    total_size = sum(sizes.values())
    exact = {stratum: total * size / total_size for stratum, size in sizes.items()}
    quota = {stratum: min(math.floor(exact[stratum]), capacity[stratum]) for stratum in sizes}
    for _ in range(total - sum(quota.values())):
        below_capacity = [stratum for stratum in sizes if quota[stratum] < capacity[stratum]]
        if not below_capacity:
            break
        quota[min(below_capacity, key=lambda stratum: (quota[stratum] - exact[stratum], quota[stratum], stratum))] += 1
    return quota


def count_overlap(keys: Mapping[str, Iterable[SplitKey]], train: Iterable[SplitKey]) -> dict[str, int]:
    """Return how many rows of each split are of a group that training has too."""
    seen, _, _ = _hash_keys(train)
    return {split: int(np.isin(_hash_keys(of_split)[0], seen).sum()) for split, of_split in keys.items()}


def count_duplicates(keys: Iterable[SplitKey]) -> int:
    """Return how many rows are of the group of an earlier row."""
    hashes, _, _ = _hash_keys(keys)
    return len(hashes) - len(np.unique(hashes))


def _hash_keys(
    keys: Iterable[SplitKey], seed: int = 0, purpose: str = ""
) -> tuple[NDArray[np.bytes_], NDArray[np.int32], list[str]]:
    """Return a hash of each row's group, the number of its stratum, and the sorted names of the strata.

    Unlike a shuffle, hashes depend neither on the order of the rows nor on Python's generator. The groups themselves
    are not kept, since they are as large as the data.

    Returns:
        (rows,) of 16 bytes each, (rows,), and the names by number.
    """
    hashes, numbers, names = bytearray(), array("i"), dict[str, int]()
    group, digest = None, b""
    for key in keys:
        if key.group is not group:  # adjacent rows may share a very long group
            group = key.group
            digest = hashlib.sha256(f"{seed}\t{purpose}\t{group}".encode()).digest()[:_HASH_BYTES]
        hashes += digest
        numbers.append(names.setdefault(key.stratum, len(names)))
    sorted_names = sorted(names)
    rank = np.empty(len(names), np.int32)  # number by first appearance -> number by name
    rank[[names[name] for name in sorted_names]] = np.arange(len(names))
    return np.frombuffer(hashes, f"S{_HASH_BYTES}"), rank[np.array(numbers, np.int32)], sorted_names


def _indices_by_stratum(strata: NDArray[np.int32], num_strata: int) -> list[NDArray[np.int64]]:
    """Return for each stratum the indices at which its number is, ascending."""
    return np.split(np.argsort(strata, kind="stable"), np.cumsum(np.bincount(strata, minlength=num_strata))[:-1])


def _rows_per_stratum(
    stratum_of_group: NDArray[np.int32], group_sizes: NDArray[np.int64], num_strata: int
) -> list[int]:
    """Return how many rows each stratum has in these groups."""
    counts = np.zeros(num_strata, np.int64)
    np.add.at(counts, stratum_of_group, group_sizes)
    return [int(count) for count in counts]
