"""Reading of NumPy archives of unknown origin, without pickled objects."""

import io
import lzma
import math
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io.files import read_bytes
from qtha_lab.core.io.text import shortened

if TYPE_CHECKING:
    import numpy as np

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
