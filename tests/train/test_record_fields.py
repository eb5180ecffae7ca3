"""Record fields of several callbacks make one record."""

import pytest

from ftlab.train.record_fields import merge_fields


def test_mappings_are_united_and_lists_joined() -> None:
    fields = [{"checks": {"a": 1}, "warnings": ["x"]}, {}, {"checks": {"b": 2}, "warnings": ["y"], "cost": 3}]
    assert merge_fields(fields) == {"checks": {"a": 1, "b": 2}, "warnings": ["x", "y"], "cost": 3}
    assert fields[0] == {"checks": {"a": 1}, "warnings": ["x"]}, "what a callback returned is not changed"
    assert merge_fields([]) == {}


@pytest.mark.parametrize(
    ("one", "other"), [(1, 2), ({"a": 1}, {"a": 2}), (None, {"a": 1}), ({"a": 1}, None), ([1], {"a": 1})]
)
def test_two_callbacks_cannot_fill_in_the_same(one: object, other: object) -> None:
    with pytest.raises(ValueError, match="checks"):
        merge_fields([{"checks": one}, {"checks": other}])
