"""Reading of NumPy archives and safetensors of unknown origin, without pickled objects."""

import io
import lzma
import math
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io.files import open_file, read_bytes
from qtha_lab.core.io.strict_json import parse_json
from qtha_lab.core.io.text import shortened

if TYPE_CHECKING:
    import numpy as np
    from safetensors import safe_open
    from torch import Tensor

LIMIT = 2**24
"""Bytes of an archive: 16 MiB."""
UNPACKED_LIMIT = 2**26
"""Bytes of all its arrays: 64 MiB."""
DAMAGES = (
    ValueError, OSError, EOFError, KeyError, RuntimeError, SyntaxError, tokenize.TokenError,
    zipfile.BadZipFile, zlib.error, lzma.LZMAError,
)  # fmt: skip


def load_arrays(path: Path) -> "dict[str, np.ndarray]":
    """Read all arrays of an `.npz` file by name.

    Raises:
        FileNotFoundError: If there is no such file.
        Refusal: If the file is no regular file, is too large or no whole archive of arrays.
    """
    import numpy as np

    content = read_bytes(path, LIMIT)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check_sizes(archive)
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except DAMAGES as problem:
        reason = shortened(str(problem))
        raise Refusal(
            f"{shortened(path, 100)} must be a whole archive of arrays, got {reason}. "
            "Copy the file again."
        ) from None


def _check_sizes(archive: zipfile.ZipFile) -> None:
    """Refuse members that are too large, or whose header states another size, unread."""
    import numpy as np

    members = archive.infolist()
    size = sum(member.file_size for member in members)
    if size > UNPACKED_LIMIT:
        raise ValueError(f"{size / 2**20:,.1f} MiB unpacked, {UNPACKED_LIMIT >> 20} at most")
    headers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    for member in members:
        with archive.open(member) as file:
            shape, _, dtype = headers[np.lib.format.read_magic(file)](file)
            if math.prod(shape) * dtype.itemsize != member.file_size - file.tell():
                raise ValueError(
                    f"{shortened(member.filename, 40)} of another size than its header"
                )


HEADER_LIMIT = 2**25
"""Bytes of a header: 32 MiB name about 300,000 tensors."""


@contextmanager
def open_tensors(path: Path) -> "Iterator[safe_open]":
    """Open a safetensors file to read names, metadata and PyTorch tensors.

    Raises:
        FileNotFoundError: If there is no such file.
        Refusal: If the file is no regular file or no complete safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    tensor_shapes(path)  # refuses a damaged file before its whole length is mapped
    try:
        opened = safe_open(path, framework="pt")
    except (SafetensorError, OSError) as problem:
        raise _refused(path, str(problem)) from None
    try:
        with opened:
            yield opened
    except SafetensorError as problem:
        raise _refused(path, str(problem)) from None


def tensor_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Read the shapes of all tensors of a safetensors file from its header alone.

    Raises:
        FileNotFoundError: If there is no such file.
        Refusal: If the file is no regular file or no whole safetensors file.
    """
    with open_file(path) as file:
        start = file.read(8)
        size = int.from_bytes(start, "little")
        if len(start) < 8:
            raise _refused(path, f"a file of {len(start)} bytes")
        if size > HEADER_LIMIT:
            raise _refused(path, f"a header of {size:,} bytes")
        text = file.read(size)
        length = file.seek(0, 2)
    try:
        header = parse_json(text)
        entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
        shapes = {name: tuple(map(index, entry["shape"])) for name, entry in entries.items()}
        end = max((index(entry["data_offsets"][1]) for entry in entries.values()), default=0)
    except (Refusal, AttributeError, LookupError, TypeError, ValueError) as problem:
        raise _refused(path, f"a damaged header: {problem}") from None
    if length != 8 + size + end or any(number < 0 for shape in shapes.values() for number in shape):
        raise _refused(path, f"a file of {length:,} bytes for {8 + size + end:,}")
    return shapes


def load_tensors(path: Path) -> "dict[str, Tensor]":
    """Read all tensors of a safetensors file by name; errors as in `open_tensors`."""
    with open_tensors(path) as opened:
        return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118


def _refused(path: Path, reason: str) -> Refusal:
    name, reason = shortened(path, 100), shortened(reason)
    return Refusal(f"{name} must be a whole safetensors file, got {reason}. Copy the file again.")
