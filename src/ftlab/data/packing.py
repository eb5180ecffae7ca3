"""Several examples in one row of a batch, each seeing itself alone: the same losses with less padding.

The rows of a micro-batch stay those that they are without packing, so a step is the same step. Nothing is passed but
positions that begin anew with each example: from these Transformers makes a mask that keeps attention inside each
(`masking_utils.find_packed_sequence_indices`), in every implementation of attention.
"""

from collections.abc import Sequence


def bins(lengths: Sequence[int], room: int) -> list[list[int]]:
    """Share examples out to as few rows as first-fit decreasing finds (Johnson, 1974).

    Args:
        lengths: of each example, in tokens; one that is longer than the room gets a row of its own.
        room: tokens of a row.

    Returns:
        For each row, the numbers of its examples, the longest first.
    """
    found: list[list[int]] = []
    left: list[int] = []
    for number in sorted(range(len(lengths)), key=lambda number: -lengths[number]):
        place = next((place for place, free in enumerate(left) if free >= lengths[number]), len(left))
        if place == len(left):
            found.append([])
            left.append(room)
        found[place].append(number)
        left[place] -= lengths[number]
    return found
