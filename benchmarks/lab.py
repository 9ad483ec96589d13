"""A notebook open in a real JupyterLab, in headless Chromium, for benches that use it as a person
does.

The browser is that of the tests, which a checkout has beside this folder.
"""

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def open_notebook(
    cells: Iterable[str], notebook: Path, *, size: tuple[int, int] = (1400, 1000), **env: str
) -> Iterator[tuple[Any, Path]]:
    """The `Lab` of the tests' `support.jupyter_browser`, and the home folder of its server, whose
    log is there.

    Args:
        cells: The source of each.
        notebook: Where it is written; the server serves its folder.
        size: Width and height of the window, in pixels.
        env: More environment variables for the kernel.
    """
    if str(ROOT / "tests") not in sys.path:
        sys.path.append(str(ROOT / "tests"))
    import nbformat
    from support.jupyter_browser import open_lab, serve

    notebook.parent.mkdir(parents=True, exist_ok=True)
    content = nbformat.v4.new_notebook(cells=[*map(nbformat.v4.new_code_cell, cells)])
    nbformat.write(content, notebook)
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home,
        serve(notebook.parent, Path(home)) as server,
        open_lab(server, notebook, size=size, PYTHONPATH=path, **env) as lab,
    ):
        yield lab, Path(home)
