"""Smallest number of seeds or test examples with which something is expected to be decided."""

from collections.abc import Callable

MAX_SEEDS = 1_000
MAX_EXAMPLES = 10_000_000


def smallest_number(is_enough: Callable[[int], bool], low: int, high: int) -> int | None:
    """Return the smallest number in [low, high] that is enough, by bisection; None if `high` is not.

    Args:
        is_enough: false up to some number, and true from there on.
        low: smallest number.
        high: largest number.
    """
    if not is_enough(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle + 1, high)
    return low
