"""Join the scripts of a widget into the one module that its page loads."""

from pathlib import Path

from qtha_lab.core.io import read


def page_module(*names: str, before: str = "") -> str:
    """Return the source of a page module, which begins with the recovery from late loading.

    Args:
        names: Files of this folder; the last one exports `initialize: recover` and `render`.
        before: Source that stands before them, such as constants.
    """
    folder = Path(__file__).parent
    parts = [read(folder / name) for name in ("late.js", *names)]
    return "".join([before, *parts])
