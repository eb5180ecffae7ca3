"""Record fields of several callbacks make one record."""

import pytest

from ftlab.train.record_fields import merged


def test_mappings_are_united_and_lists_joined() -> None:
    fields = [{"checks": {"a": 1}, "warnings": ["x"]}, {}, {"checks": {"b": 2}, "warnings": ["y"], "cost": 3}]
    assert merged(fields) == {"checks": {"a": 1, "b": 2}, "warnings": ["x", "y"], "cost": 3}
    assert fields[0] == {"checks": {"a": 1}, "warnings": ["x"]}, "what a callback returned is not changed"
    assert merged([]) == {}


def test_two_callbacks_cannot_fill_in_one_field() -> None:
    with pytest.raises(ValueError, match="cost"):
        merged([{"cost": 1}, {"cost": 2}])
