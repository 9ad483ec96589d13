"""Limits of Arrow streams, checked in their metadata before a library maps them into memory.

Compressed batches and dictionaries are refused: their size in memory is not that of the file.
pyarrow allocates what the metadata state.
"""

import struct
from pathlib import Path

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io.files import open_file
from qtha_lab.core.io.read_counts import ReadCounts
from qtha_lab.core.io.text import shortened

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
