"""The Chromium that draws PDF, SVG and PNG: found, started once, kept warm for the next picture.

Asks for no network: plotly's own script is used, and MathJax is left out.
"""

import functools
import logging
import shutil
import threading
import weakref

import plotly.graph_objects as go

from qtha_lab.core.errors import Refusal
from qtha_lab.figures.machinery.parts import layout_of

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 120.0
HOW_TO = (
    "install Chromium or Chrome (apt install chromium, brew install --cask chromium, or "
    "plotly_get_chrome), or set BROWSER_PATH to one; html, csv and tex need none"
)
_one_at_a_time = threading.Lock()


class NoBrowserError(Refusal, OSError):
    """There is no Chromium on this machine, or it does not answer."""


def find_browser() -> str | None:
    """The browser that would be used: `BROWSER_PATH`, else an installed Chromium or Chrome, else None."""
    from choreographer.browsers.chromium import Chromium

    name = Chromium.find_browser(skip_local=False)
    return shutil.which(name) if name else None


@functools.cache
def _start() -> None:
    import kaleido

    if find_browser() is None:
        raise NoBrowserError(f"a picture needs a browser, and none was found: {HOW_TO}")
    # Exit hooks run last in, first out: make weakref's (which removes the browser's folder) older than
    # kaleido's (which ends the browser).
    weakref.finalize(_one_at_a_time, int)
    log.info("starting %s", find_browser())
    page = kaleido.PageGenerator(mathjax=False)
    page.header += "<style>@page { margin: 0 }</style>"  # kaleido's own 0.1 in cuts the figure off
    kaleido.start_sync_server(silence_warnings=True, page_generator=page)


def render(figure: go.Figure, form: str, scale: float = 1.0) -> bytes:
    """The bytes of a figure as "pdf", "svg" or "png", at the width and height of its layout.

    The first call starts the browser (seconds), later ones take about 0.15 s.

    Args:
        figure: What to draw.
        form: "pdf", "svg" or "png".
        scale: Pixels of a PNG per pixel of the layout.

    Raises:
        NoBrowserError: If there is no browser; says how to get one.
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
        raise NoBrowserError(f"the browser at {find_browser()} failed: {answer[0]}") from answer[0]
    return answer[0] if isinstance(answer[0], bytes) else answer[0].encode()


def _ask(figure: go.Figure, form: str, scale: float, answer: list) -> None:
    import kaleido

    layout = layout_of(figure)
    size = {"width": layout.width, "height": layout.height}
    try:
        answer.append(kaleido.calc_fig_sync(figure, opts={"format": form, "scale": scale, **size}))
    except BaseException as wrong:
        answer.append(wrong)
