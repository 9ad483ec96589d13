"""Counts of the rows, values and decoded bytes of data, with their limits.

The size of a plain file is no limit: a row that is read is counted before the next one is decoded.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtha_lab.core.errors import Refusal

MOST_ROWS = 2**20
MOST_VALUES = 2**23
MOST_BYTES = 2**28  # after decompression
MOST_LINES = 2**24  # blank ones included
REMEDY = "Take a sample of the rows."


@dataclass
class ReadCounts:
    """Counts of all files of a data set.

    Attributes:
        rows: Rows that were read.
        values: Values of these rows, with lists, objects and their members.
        size: Decoded bytes of packed files.
        unlabelled: Rows without a label that a reader has left aside.
    """

    rows: int = 0
    values: int = 0
    size: int = 0
    unlabelled: int = 0

    def add(self, path: Path, *, rows: int = 0, values: int = 0, size: int = 0) -> None:
        """Add counts of a file.

        Args:
            path: File, for the refusal.
            rows: Rows that were read.
            values: Values of these rows.
            size: Decoded bytes.

        Raises:
            Refusal: Naming the file whose rows are too many or too large.
        """
        self.rows, self.values, self.size = self.rows + rows, self.values + values, self.size + size
        if self.rows > MOST_ROWS:
            raise Refusal(f"{path.name} must have at most {MOST_ROWS:,} rows, got more. {REMEDY}")
        if self.values > MOST_VALUES:
            raise Refusal(
                f"{path.name} must have at most {MOST_VALUES:,} values, got more. {REMEDY}"
            )
        if self.size > MOST_BYTES:
            raise Refusal(
                f"{path.name} must have at most {MOST_BYTES / 2**20:g} MiB unpacked, got more. "
                f"{REMEDY}"
            )

    def counted(
        self, path: Path, rows: Iterator[tuple[int, dict[str, Any]]]
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the rows of a file, each after it is counted."""
        for number, record in rows:
            self.add(path, rows=1, values=count_values(record))
            yield number, record


def count_values(record: Any) -> int:
    """Count the values of a record, with lists, objects and their members.

    Example:
        >>> count_values({"text": "a", "turns": [{"role": "user"}]})
        4
    """
    count, level = 0, [record]
    while level:
        value = level.pop()
        count += len(value)
        inner = value.values() if isinstance(value, dict) else value
        level.extend(each for each in inner if isinstance(each, dict | list))
    return count
