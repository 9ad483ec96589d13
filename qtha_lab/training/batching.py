"""Which rows share a batch: rows of about one length, so that little of it is padding.

Chooses by lengths alone; for what is evaluated or answered, never for the order of training.
"""

from collections.abc import Iterator, Sequence


def by_length(lengths: Sequence[int], size: int) -> Iterator[list[int]]:
    """Positions of rows, longest first, in batches that are padded to no more than `size` longest rows are.

    Batches of shorter rows hold more of them, so the first is the one that needs most memory.

    Args:
        lengths: Of every row, in tokens.
        size: Rows in a batch of the longest.

    Example:
        >>> list(by_length([2, 8, 3, 8, 4], size=2))
        [[1, 3], [4, 2, 0]]
    """
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    while order:
        most = max(size, size * max(lengths) // max(lengths[order[0]], 1))
        yield order[:most]
        order = order[most:]
