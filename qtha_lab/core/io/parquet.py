"""Reader of Parquet files, with the label names that Hugging Face data sets store.

Encoded columns can be thousands of times smaller than their values: batches are sized so that
values as large as a whole row group fit into `BATCH_BYTES`.

Compressed batches and dictionaries are refused: their size in memory is not that of the file.
pyarrow allocates what the metadata state.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io.files import ReadCounts, open_file
from qtha_lab.core.io.strict_json import parse_json
from qtha_lab.core.io.text import shortened

if TYPE_CHECKING:
    from pyarrow import Array
    from pyarrow.parquet import FileMetaData


log = logging.getLogger(__name__)

UNLABELLED = -1  # of a column with names of labels
BATCH_BYTES = 2**27
BATCH_ROWS = 1024


def parquet_rows(path: Path, counts: ReadCounts) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number and the values of each row of a Parquet file.

    Rows and sizes are counted from the metadata before, and from the batches while they are read.
    """
    from qtha_lab.core.libraries import require_extra

    require_extra("hub", "A Parquet file", "pyarrow")
    import pyarrow
    import pyarrow.parquet

    try:
        with open_file(path) as file:
            table = pyarrow.parquet.ParquetFile(file)
            size = _batch_size(path, table.metadata)
            names = _label_names(table.schema_arrow.metadata or {})
            number = 0
            for batch in table.iter_batches(size):
                counts.add(path, size=batch.nbytes)
                ReadCounts().add(path, values=sum(map(_count_values, batch.columns)))
                for row in batch.to_pylist():
                    number += 1
                    if any(row[column] == UNLABELLED for column in names):
                        counts.unlabelled += 1
                    else:
                        yield number, row | dict(_named(row, names))
    except Refusal:
        raise
    except (pyarrow.ArrowException, ValueError, OverflowError) as problem:
        reason = shortened((str(problem).splitlines() or [""])[0], 120)
        raise Refusal(
            f"{path.name} must be a Parquet file, got {reason}. Write it again."
        ) from None


def _batch_size(path: Path, metadata: FileMetaData) -> int:
    """Return the rows of a batch; refuse a file whose metadata state too much.

    The metadata of a column are not read: damaged ones end the process (pyarrow 26).
    """
    groups = (metadata.row_group(place) for place in range(metadata.num_row_groups))
    sizes = [group.total_byte_size for group in groups]
    ReadCounts().add(path, rows=metadata.num_rows, size=sum(sizes))
    return max(1, min(BATCH_ROWS, BATCH_BYTES // max(1, *sizes, 1)))


def _count_values(array: Array) -> int:
    """Count the values of a column, with those of lists and structures."""
    from pyarrow import types

    if types.is_struct(array.type):
        return len(array) + sum(map(_count_values, array.flatten()))
    return len(array) + (_count_values(array.values) if types.is_nested(array.type) else 0)


def _named(row: dict[str, Any], names: Mapping[str, list[str]]) -> Iterator[tuple[str, str]]:
    for column, labels in names.items():
        place = row[column]
        if isinstance(place, int) and 0 <= place < len(labels):
            yield column, labels[place]


def _label_names(metadata: Mapping[bytes, bytes]) -> dict[str, list[str]]:
    """Return the label names that Hugging Face data sets store, by column."""
    try:
        note = parse_json(metadata.get(b"huggingface", b"{}"))
        features = note["info"]["features"]
        return {
            column: feature["names"]
            for column, feature in features.items()
            if isinstance(feature, dict) and isinstance(feature.get("names"), list)
        }
    except (Refusal, LookupError, TypeError, AttributeError) as reason:
        log.debug("the table names no labels: %s", reason)
        return {}


SCHEMA, RECORD_BATCH = 1, 3  # header types of a message
REMEDY = "Write it with save_to_disk of datasets, or as Parquet."


def check_arrow(path: Path, counts: ReadCounts) -> None:
    """Count the rows and values of an Arrow stream; refuse one whose size is unknown.

    Source:
        Message.fbs and Schema.fbs of Apache Arrow: fields of a message and of a record batch.
    """
    import pyarrow

    try:
        with open_file(path), pyarrow.memory_map(str(path)) as file:
            for message in pyarrow.ipc.MessageReader.open_stream(file):
                _check_message(path, message.metadata.to_pybytes(), counts)
    except Refusal:
        raise
    except (pyarrow.ArrowException, struct.error, ValueError) as problem:
        raise Refusal(
            f"{path.name} must be an Arrow stream, got {shortened(problem, 80)}. {REMEDY}"
        ) from None


def _check_message(path: Path, message: bytes, counts: ReadCounts) -> None:
    (root,) = struct.unpack_from("<I", message)
    kind = message[_field(message, root, 1)]
    if kind == SCHEMA:
        return
    batch = _target(message, _field(message, root, 2))
    if kind != RECORD_BATCH or _field(message, batch, 3):
        raise Refusal(
            f"{path.name} must hold plain batches of rows, got compressed or encoded ones. {REMEDY}"
        )
    length, nodes = _field(message, batch, 0), _field(message, batch, 1)
    rows = struct.unpack_from("<q", message, length)[0] if length else 0
    counts.add(path, rows=rows, values=sum(_lengths(message, nodes)) if nodes else 0)


def _lengths(message: bytes, nodes: int) -> tuple[int, ...]:
    """Return the lengths of all columns, with those of nested ones."""
    start = _target(message, nodes)
    (count,) = struct.unpack_from("<I", message, start)
    return struct.unpack_from("<" + "qq" * count, message, start + 4)[::2]


def _target(data: bytes, place: int) -> int:
    """Return the place that an offset at a place leads to."""
    return place + struct.unpack_from("<I", data, place)[0]


def _field(data: bytes, table: int, number: int) -> int:
    """Return the place of a table's field in a flatbuffer; 0 without it."""
    vtable = table - struct.unpack_from("<i", data, table)[0]
    (size,) = struct.unpack_from("<H", data, vtable)
    entry = 4 + 2 * number
    offset = struct.unpack_from("<H", data, vtable + entry)[0] if entry < size else 0
    return table + offset if offset else 0
