"""Detection of a page with a reader, not a script or executed notebook."""

from typing import Any


def has_reader() -> bool:
    """Return True if a frontend with a reader runs the current cell.

    JupyterLab and Notebook name the cell that they run. nbconvert, papermill, tests and scripts
    name none.

    Example:
        >>> has_reader()
        False
    """
    return bool(_metadata().get("cellId"))


def in_notebook() -> bool:
    """Return True if a kernel runs this code, with or without a reader."""
    return getattr(_shell(), "kernel", None) is not None


def _metadata() -> dict[str, Any]:
    kernel = getattr(_shell(), "kernel", None)
    parent = kernel.get_parent() if kernel is not None else None
    return (parent or {}).get("metadata", {})


def _shell() -> Any:
    try:
        import IPython
    except ModuleNotFoundError:  # only the extra `lab` installs it
        return None
    return IPython.get_ipython()
