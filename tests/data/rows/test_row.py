import hashlib
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from ftlab.data.rows.row import ExampleIds, Row, data_hash, example_ids


def _row(number: int = 2, **values: object) -> Row:
    return Row(values, f"reviews.csv:{number}")


def test_ids_are_stable_and_unique() -> None:
    ids = example_ids(["a", "b", "a", "a"])
    assert len(set(ids)) == 4
    assert all(len(one) == 16 and int(one, 16) >= 0 for one in ids)
    assert example_ids(["b", "a"]) == [ids[1], ids[0]]
    assert ids[1] == "e23a696c2d278b39"  # a new value would unpair every record that exists


def test_hash_is_of_the_rows_in_order() -> None:
    first, second = _row(2, text="a", label="x"), _row(3, text="b", label="y")
    digest = data_hash({"train": [first, second], "test": []})
    assert len(digest) == 64
    assert digest == data_hash({"train": [_row(9, label="x", text="a"), second], "test": []})
    others = [
        {"train": [second, first], "test": []},
        {"train": [first], "test": [second]},
        {"train": [first, _row(3, text="b", label="z")], "test": []},
    ]
    assert digest not in map(data_hash, others)


@given(st.lists(st.lists(st.sampled_from("abcdefgh")), max_size=12))
def test_ids_do_not_depend_on_how_examples_come(portions: list[list[str]]) -> None:
    ids, seen, expected = ExampleIds(), Counter[str](), []
    for content in (one for portion in portions for one in portion):
        seen[content] += 1
        expected.append(hashlib.sha256(f"{seen[content]}\t{content}".encode()).hexdigest()[:16])
    assert [one for portion in portions for one in ids.next_ids(portion)] == expected
