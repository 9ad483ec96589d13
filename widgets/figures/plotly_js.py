"""One plotly.js for a whole page: the script as the installed plotly brings it, and what every view of it shares.

Neither a notebook nor a widget's state holds it; a page asks for it once.
"""

import functools
import gzip
import importlib.resources
import json
from pathlib import Path

from qtha_lab.core.io import read_bytes
from qtha_lab.figures.machinery.export import TOOLBAR

from ..kit.page_module import page_module

MODEBAR = {
    "bgcolor": "rgba(0,0,0,0)",
    "remove": ["lasso", "select", "zoomin", "zoomout", "autoscale"],
}


@functools.cache
def script() -> bytes:
    """plotly.js as the installed plotly brings it, compressed."""
    file = importlib.resources.files("plotly") / "package_data" / "plotly.min.js"
    return gzip.compress(read_bytes(Path(str(file)), 2**26), compresslevel=6, mtime=0)


def module(*names: str) -> str:
    """The page's half of a view that draws: the loader of plotly.js, then the files of these names.

    They find what every figure's own buttons are like in `TOOLBAR`.
    """
    return page_module("plotly.js", *names, before=f"const TOOLBAR = {json.dumps(TOOLBAR)};\n")
