"""Reading of safetensors files of unknown origin with a limited header."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io.files import open_file
from qtha_lab.core.io.strict_json import parse_json
from qtha_lab.core.io.text import shortened

if TYPE_CHECKING:
    from safetensors import safe_open
    from torch import Tensor

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
        shapes = {name: tuple(map(int, entry["shape"])) for name, entry in entries.items()}
        end = max((int(entry["data_offsets"][1]) for entry in entries.values()), default=0)
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
