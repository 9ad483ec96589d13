"""Export of figures to PDF, SVG and PNG by a Chromium browser.

The browser starts once per process. No network is used: plotly's script is local, and MathJax is
omitted.
"""

import functools
import logging
import shutil
import threading
import weakref

import plotly.graph_objects as go

from qtha_lab.core.errors import Refusal
from qtha_lab.core.libraries import require_extra
from qtha_lab.figures.machinery.parts import layout_of

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 120.0
HOW_TO = (
    "install Chromium or Chrome (apt install chromium, brew install --cask chromium, or "
    "plotly_get_chrome), or set BROWSER_PATH to one; html, csv and tex need none"
)
_one_at_a_time = threading.Lock()


class NoBrowserError(Refusal, OSError):
    """Error for a missing or unresponsive Chromium."""


def find_browser() -> str | None:
    """Return the browser of `BROWSER_PATH`, else an installed Chromium or Chrome, else None."""
    from choreographer.browsers.chromium import Chromium

    name = Chromium.find_browser(skip_local=False)
    return shutil.which(name) if name else None


@functools.cache
def _start() -> None:
    require_extra("figures", "A picture of a figure", "kaleido")
    import kaleido

    if find_browser() is None:
        raise NoBrowserError(f"A picture must have a browser, got none: {HOW_TO}")
    # Exit hooks run in reverse order of registration. Register the hook of weakref (which removes
    # the browser's folder) before that of kaleido (which ends the browser).
    weakref.finalize(_one_at_a_time, int)
    log.info("starting %s", find_browser())
    page = kaleido.PageGenerator(mathjax=False)
    page.header += (  # kaleido's default margin of 0.1 in crops the figure
        "<style>@page { margin: 0 }</style>"
    )
    kaleido.start_sync_server(silence_warnings=True, page_generator=page)


def render(figure: go.Figure, form: str, scale: float = 1.0) -> bytes:
    """Render a figure as "pdf", "svg" or "png" at the size of its layout.

    The first call starts the browser (seconds); later calls take about 0.15 s.

    Args:
        figure: Figure to render.
        form: "pdf", "svg" or "png".
        scale: Pixels of a PNG per pixel of the layout.

    Raises:
        NoBrowserError: If there is no browser; the message explains how to install one.
    """
    with _one_at_a_time:
        _start()
        answer: list = []
        worker = threading.Thread(target=_ask, args=(figure, form, scale, answer), daemon=True)
        worker.start()
        worker.join(PATIENCE_SECONDS)
    if not answer:
        message = f"the browser at {find_browser()} did not draw within {PATIENCE_SECONDS:g} s"
        raise NoBrowserError(f"{message}: {HOW_TO}")
    if isinstance(answer[0], BaseException):
        reason = f"The browser cannot be used: {answer[0]}"
        raise NoBrowserError(reason) from answer[0]
    return answer[0] if isinstance(answer[0], bytes) else answer[0].encode()


def _ask(figure: go.Figure, form: str, scale: float, answer: list) -> None:
    import kaleido

    layout = layout_of(figure)
    size = {"width": layout.width, "height": layout.height}
    try:
        answer.append(kaleido.calc_fig_sync(figure, opts={"format": form, "scale": scale, **size}))
    except BaseException as wrong:
        answer.append(wrong)
