"""Reading of NumPy archives of unknown origin, without pickled objects."""

import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io.files import read_bytes
from qtha_lab.core.io.text import shortened

if TYPE_CHECKING:
    import numpy as np

LIMIT = 2**24
"""Bytes of an archive: 16 MiB."""


def load_arrays(path: Path) -> "dict[str, np.ndarray]":
    """Read all arrays of an `.npz` file by name.

    Raises:
        FileNotFoundError: If there is no such file.
        Refusal: If the file is no regular file, is too large or no whole archive of arrays.
    """
    import numpy as np

    content = read_bytes(path, LIMIT)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, AttributeError) as problem:
        reason = shortened(str(problem))
        raise Refusal(
            f"{shortened(path, 100)} must be a whole archive of arrays, got {reason}. "
            "Copy the file again."
        ) from None
