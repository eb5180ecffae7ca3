import hashlib
from collections import Counter, defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from ftlab.core.errors import DataError
from ftlab.data.rows.row import Row
from ftlab.data.rows.splits import SplitKey, allocate, carve_splits, count_duplicates, count_overlap, stratified_subset
from tests.fixtures.refusals import refused

FRACTIONS = {"test": 0.2, "val": 0.1}


def _rows(counts: dict[str, int]) -> tuple[list[Row], list[SplitKey]]:
    units = [SplitKey(f"{label} {n}", label) for label, count in counts.items() for n in range(count)]
    return [Row({"key": unit.group, "label": unit.stratum}, "") for unit in units], units


def test_sizes_are_exact_and_shares_even() -> None:
    rows, units = _rows({"a": 511, "b": 510, "c": 417, "d": 401, "e": 386})
    splits = carve_splits(rows, units, FRACTIONS, seed=0)
    assert {split: len(members) for split, members in splits.items()} == {"train": 1558, "test": 445, "val": 222}
    counts = Counter(row.values["label"] for row in splits["test"])
    assert counts == {"a": 102, "b": 102, "c": 84, "d": 80, "e": 77}  # a fifth of each, within a row
    assert sorted(row.values["key"] for members in splits.values() for row in members) == sorted(u.group for u in units)


def test_seed_decides_and_order_of_rows_does_not() -> None:
    rows, units = _rows({"a": 40, "b": 60})

    def keys(rows: list[Row], units: list[SplitKey], seed: int) -> set[str]:
        return {row.values["key"] for row in carve_splits(rows, units, FRACTIONS, seed)["test"]}

    assert keys(rows, units, 0) == keys(rows[::-1], units[::-1], 0)
    assert keys(rows, units, 0) != keys(rows, units, 1)


def test_order_of_rows_is_kept() -> None:
    rows, units = _rows({"a": 30, "b": 30})
    for members in carve_splits(rows, units, FRACTIONS, seed=3).values():
        positions = [rows.index(row) for row in members]
        assert positions
        assert positions == sorted(positions)


def test_equal_keys_stay_together() -> None:
    units = [SplitKey(f"text {n % 30}", "ab"[n % 2]) for n in range(100)]
    rows = [Row({"key": unit.group}, "") for unit in units]
    splits = carve_splits(rows, units, FRACTIONS, seed=0)
    seen = [{row.values["key"] for row in members} for members in splits.values()]
    assert sum(map(len, seen)) == 30
    assert len(splits["test"]) in range(17, 24)


def test_small_strata_stay_in_training_first() -> None:
    rows, units = _rows({"big": 50, "two": 2, "one": 1})
    splits = carve_splits(rows, units, FRACTIONS, seed=0)
    assert {row.values["label"] for row in splits["train"]} == {"big", "two", "one"}


def test_nothing_left_for_a_split() -> None:
    rows, units = _rows({"a": 1, "b": 1, "c": 1})
    with refused(DataError, "of 3 rows", "test", "dataset.test_fraction"):
        carve_splits(rows, units, FRACTIONS, seed=0)
    with refused(DataError, "of 2 rows", "val", "dataset.val_fraction"):
        carve_splits(rows[:2], [SplitKey("a"), SplitKey("b")], FRACTIONS, seed=0)


def test_few_rows_still_fill_every_split() -> None:
    rows, units = _rows({"a": 2, "b": 2})
    assert {split: len(members) for split, members in carve_splits(rows, units, FRACTIONS, seed=0).items()} == {
        "train": 2,
        "test": 1,
        "val": 1,
    }


def test_limit_is_stratified_seeded_and_keeps_the_order() -> None:
    rows, units = _rows({"a": 60, "b": 30, "c": 9, "d": 1})
    chosen = stratified_subset(rows, units, 20, seed=0)
    assert len(chosen) == 20
    assert Counter(row.values["label"] for row in chosen).keys() == {"a", "b", "c", "d"}
    assert [rows.index(row) for row in chosen] == sorted(rows.index(row) for row in chosen)
    assert chosen == stratified_subset(rows, units, 20, seed=0)
    assert chosen != stratified_subset(rows, units, 20, seed=1)
    assert [row.values["label"] for row in stratified_subset(rows, units, 2, seed=0)] == ["a", "b"]
    assert stratified_subset(rows, units, None, seed=0) == stratified_subset(rows, units, 1000, seed=0) == rows


@given(
    st.dictionaries(st.text(max_size=3), st.integers(1, 50), min_size=1),
    st.floats(0, 1),
    st.data(),
)
def test_allocation_fills_the_total_within_bounds(sizes: dict[str, int], fraction: float, data: st.DataObject) -> None:
    room = {name: data.draw(st.integers(0, size)) for name, size in sizes.items()}
    total = round(sum(sizes.values()) * fraction)
    quota = allocate(sizes, total, room)
    assert all(0 <= quota[name] <= room[name] for name in sizes)
    assert sum(quota.values()) == min(total, sum(room.values()))
    if room == sizes:
        assert all(abs(quota[name] - total * sizes[name] / sum(sizes.values())) < 1 for name in sizes)


def test_overlap_counts_what_training_has() -> None:
    found = count_overlap(
        {"test": [SplitKey("a"), SplitKey("b"), SplitKey("a")], "val": []}, [SplitKey("a"), SplitKey("c")]
    )
    assert found == {"test": 2, "val": 0}
    assert count_duplicates([SplitKey("a"), SplitKey("b"), SplitKey("a"), SplitKey("a")]) == 2


def _in_memory(units: list[SplitKey], fractions: dict[str, float], seed: int) -> dict[str, list[int]]:
    """How splits were made when keys were kept: results must never change."""

    def draw(key: str) -> bytes:
        return hashlib.sha256(f"{seed}\tsplit\t{key}".encode()).digest()

    groups: dict[str, list[int]] = defaultdict(list)
    for index, unit in enumerate(units):
        groups[unit.group].append(index)
    waiting: dict[str, list[list[int]]] = defaultdict(list)
    for key in sorted(groups, key=draw):
        waiting[units[groups[key][0]].stratum].append(groups[key])
    sizes = {stratum: sum(map(len, members)) for stratum, members in sorted(waiting.items())}
    chosen = {}
    for split, fraction in fractions.items():
        room = {stratum: sum(map(len, waiting[stratum])) - 1 for stratum in sizes}
        taken: list[int] = []
        for stratum, places in allocate(sizes, max(1, round(len(units) * fraction)), room).items():
            left = []
            for group in waiting[stratum]:
                if len(group) <= places:
                    taken += group
                    places -= len(group)
                else:
                    left.append(group)
            waiting[stratum] = left
        chosen[split] = sorted(taken)
    return {"train": sorted(i for members in waiting.values() for group in members for i in group), **chosen}


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 15), st.sampled_from("abc")), min_size=6, max_size=60), st.integers(0, 3))
def test_splits_made_of_hashes_are_those_made_of_keys(drawn: list[tuple[int, str]], seed: int) -> None:
    units = [SplitKey(f"text {key}", stratum) for key, stratum in drawn]
    expected = _in_memory(units, FRACTIONS, seed)
    rows = [Row({"n": number}, "") for number in range(len(units))]
    if all(expected.values()):
        splits = carve_splits(rows, iter(units), FRACTIONS, seed)
        assert {split: [row.values["n"] for row in members] for split, members in splits.items()} == expected
    else:
        with refused(DataError, f"of {len(rows)} rows", "_fraction"):
            carve_splits(rows, iter(units), FRACTIONS, seed)
