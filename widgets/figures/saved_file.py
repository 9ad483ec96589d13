"""A file written by a panel under a free name, with a download link.

Independent of the content of the file.
"""

import base64
import html
import mimetypes
from pathlib import Path

from qtha_lab.core.io import read_bytes

MOST_DOWNLOAD = 20_000_000  # maximum bytes of a download link


def free_path(folder: Path, stem: str, form: str) -> Path:
    """Return a path that no file has: `loss.pdf`, `loss-2.pdf` and so on.

    Args:
        folder: Folder of the file.
        stem: Name without the ending.
        form: Ending of the name.
    """
    path, number = folder / f"{stem}.{form}", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}.{form}"
    return path


def download_link(path: Path) -> str:
    """Return HTML with the path of a file and a link that downloads the file."""
    name, size = html.escape(path.name), path.stat().st_size
    words = f"Saved: {html.escape(str(path))} ({size / 1024:,.0f} KiB)."
    if size > MOST_DOWNLOAD:
        return words
    kind = mimetypes.guess_type(path.name)[0] or "text/plain"
    data = base64.b64encode(read_bytes(path, MOST_DOWNLOAD)).decode()
    link = f'download="{name}" href="data:{kind};base64,{data}"'
    return f'{words} <a style="text-decoration: underline" {link}>Download {name}</a>'
