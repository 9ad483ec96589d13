"""One plotly.js per page, from the installed plotly package, shared by all views.

Neither a notebook nor a widget's state holds the script; a page requests it once.
"""

import functools
import gzip
import importlib.resources
from pathlib import Path

from qtha_lab.core.io import read_bytes

MODEBAR = {
    "bgcolor": "rgba(0,0,0,0)",
    "remove": ["lasso", "select", "zoomin", "zoomout", "autoscale"],
}


@functools.cache
def script() -> bytes:
    """Return plotly.js of the installed plotly package, compressed with gzip."""
    file = importlib.resources.files("plotly") / "package_data" / "plotly.min.js"
    return gzip.compress(read_bytes(Path(str(file)), 2**26), compresslevel=6, mtime=0)
