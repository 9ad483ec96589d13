"""Batches of rows of similar length, to reduce padding.

Batches depend on lengths alone. Used for evaluation and generation, never for the order of training
rows.
"""

from collections.abc import Iterator, Sequence


def by_length(lengths: Sequence[int], size: int) -> Iterator[list[int]]:
    """Yield row positions, longest first, in batches of bounded padded size.

    No batch has more padded tokens than `size` of the longest rows. Batches of shorter rows hold
    more rows, so the first batch needs the most memory.

    Args:
        lengths: Length of each row, in tokens.
        size: Number of rows in a batch of the longest rows.

    Example:
        >>> list(by_length([2, 8, 3, 8, 4], size=2))
        [[1, 3], [4, 2, 0]]
    """
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    while order:
        most = max(size, size * max(lengths) // max(lengths[order[0]], 1))
        yield order[:most]
        order = order[most:]
