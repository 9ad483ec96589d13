"""Export of figures to files; the suffix selects the format.

Formats are pdf, svg, png, html, csv, tex and md. Every format except CSV also holds the runs, the
commit and the versions. The same figure written twice gives identical bytes.
A browser, started once per process and without a network, draws pdf, svg and png.
"""

import functools
import logging
import shutil
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import make_folder, write_atomically
from qtha_lab.core.libraries import require_extra
from qtha_lab.figures.machinery import provenance
from qtha_lab.figures.machinery.page_style import PIXELS_PER_INCH, PageStyle
from qtha_lab.figures.machinery.parts import layout_of
from qtha_lab.figures.machinery.provenance import Provenance, this_checkout

if TYPE_CHECKING:
    from qtha_lab.figures.machinery.figure import Figure

log = logging.getLogger(__name__)

EMBEDDERS: dict[str, Callable[[bytes, dict[str, str]], bytes]] = {
    "pdf": provenance.into_pdf,
    "svg": provenance.into_svg,
    "png": provenance.into_png,
}
# plotly's toolbar without the button that uploads a figure to Plotly's servers: research data stays
# private
TOOLBAR = {"displaylogo": False, "showSendToCloud": False}
FORMATS = (*EMBEDDERS, "html", "csv", "tex", "md")


def export_figure(
    figure: "Figure",
    path: Path | str,
    target: str = "one-column",
    theme: str = "light",
    origin: Provenance | None = None,
    plotlyjs: bool | str = True,
    page_style: PageStyle | None = None,
) -> Path:
    """Write a figure to a file; pictures have the size of the target.

    Returns:
        The path written.

    Raises:
        ValueError: If the suffix, target or theme is unknown.
        NoBrowserError: If a picture needs a browser and there is none.
    """
    path = Path(path)
    form = path.suffix.removeprefix(".").lower()
    if form not in FORMATS:
        raise Refusal(
            f"The figure's format must be one of {', '.join(FORMATS)}, got {path.name!r}."
        )
    page_style = page_style or PageStyle(theme, target)
    words = {"title": figure.title, "description": figure.alt}
    words |= (origin or Provenance(commits=this_checkout())).words()
    make_folder(path.parent)
    write_atomically(path, _bytes(figure, form, page_style, words, plotlyjs, path))
    log.info("%s written to %s", figure.name, path)
    return path


def export_all(
    figures: Iterable["Figure"],
    folder: Path | str,
    formats: Sequence[str] = FORMATS,
    **options,
) -> tuple[list[Path], str]:
    """Write figures in several formats, each under its own name.

    Without a browser, the remaining formats are still written.

    Returns:
        The written paths, and the reason for missing pictures (empty if none is missing).
    """
    paths, message = [], ""
    for figure in figures:
        for form in formats:
            if message and form in EMBEDDERS:
                continue
            try:
                path = Path(folder) / f"{figure.name}.{form}"
                paths.append(export_figure(figure, path, plotlyjs="directory", **options))
            except NoBrowserError as missing:
                message = str(missing)
    return paths, message


def _bytes(
    figure: "Figure",
    form: str,
    page_style: PageStyle,
    words: dict[str, str],
    plotlyjs: bool | str,
    path: Path,
) -> bytes:
    if form == "csv":
        return figure.table.csv().encode()
    if form == "md":
        return figure.table.markdown(figure.caption).encode()
    if form == "tex":
        return _tex(figure, words, path).encode()
    if form == "html":
        if plotlyjs == "directory":
            _put_script(path.parent)
        return _html(figure, page_style, words, plotlyjs).encode()
    dots = provenance.DOTS_PER_INCH / PIXELS_PER_INCH if form == "png" else 1.0
    return EMBEDDERS[form](render(figure.at(page_style), form, dots * page_style.zoom), words)


def _put_script(folder: Path) -> None:
    from plotly.offline import get_plotlyjs

    script = folder / "plotly.min.js"
    if not script.exists():
        write_atomically(script, get_plotlyjs())


def _html(
    figure: "Figure", page_style: PageStyle, words: dict[str, str], plotlyjs: bool | str
) -> str:
    """Return a page with the figure, its caption and a collapsible table of its numbers."""
    page_style = PageStyle(page_style.theme, family=page_style.family, names=page_style.names)
    page_part = figure.at(page_style).to_html(
        full_html=False,
        include_plotlyjs=plotlyjs,
        div_id=f"figure-{figure.name}",
        include_mathjax=False,
        config={"responsive": True, **TOOLBAR},
    )
    metas = "\n".join(
        f'<meta name="{"" if name == "description" else "qtha-lab-"}{name}"'
        f' content="{escape(text)}">'
        for name, text in words.items()
        if name != "title"
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{escape(words["title"])}</title>
{metas}
<style>
body {{ background: {page_style.inks.paper}; color: {page_style.inks.text}; 
  font: 15px Helvetica, Arial, sans-serif;
  max-width: 60rem; margin: 1rem auto; padding: 0 1rem; }}
figure {{ margin: 0; }}
details {{ margin-top: 1rem; overflow-x: auto; }}
</style>
</head>
<body>
<figure role="group" aria-label="{escape(figure.alt)}">
{page_part}
<figcaption>{escape(figure.caption)}</figcaption>
</figure>
<details><summary>The numbers</summary>
{figure.table.html(ink=page_style.inks.text, paper=page_style.inks.paper)}
</details>
</body>
</html>
"""


def _tex(figure: "Figure", words: dict[str, str], path: Path) -> str:
    """Return a LaTeX table of the numbers, preceded by comments.

    The comments hold the provenance and the LaTeX lines of the figure.
    """
    from qtha_lab.figures.machinery.labels import escape as tex

    include = [
        r"\begin{figure}",
        rf"  \includegraphics{{{path.stem}.pdf}}",
        rf"  \caption{{{tex(figure.caption)}}}",
        r"\end{figure}",
    ]
    origins = [f"{name}: {' '.join(text.split())}" for name, text in words.items()]
    packages = "needs the packages booktabs, caption, graphicx; longtable for a long one"
    comments = "".join(f"% {line}\n" for line in [*origins, packages, *include])
    return comments + figure.table.latex(figure.caption)


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
