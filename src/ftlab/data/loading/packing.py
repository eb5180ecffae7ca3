"""Sequence packing: several examples in one row of a batch, with the same losses and less padding.

Packing happens inside a micro-batch, so each step has the same examples as without it. The model gets position ids that
restart at each example; from these Transformers makes a mask that keeps attention inside each example
(`masking_utils.find_packed_sequence_indices`), in every attention implementation.
"""

from collections.abc import Sequence


def first_fit_decreasing(lengths: Sequence[int], row_length: int) -> list[list[int]]:
    """Pack examples into few rows with first-fit decreasing bin packing (Johnson, 1974).

    Args:
        lengths: number of tokens of each example; an example longer than a row gets a row of its own.
        row_length: number of tokens of a row.

    Returns:
        For each row, the indices of its examples, longest first.
    """
    rows: list[list[int]] = []
    free: list[int] = []  # tokens of each row
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        row = next((row for row, room in enumerate(free) if room >= lengths[index]), len(free))
        if row == len(free):
            rows.append([])
            free.append(row_length)
        rows[row].append(index)
        free[row] -= lengths[index]
    return rows
