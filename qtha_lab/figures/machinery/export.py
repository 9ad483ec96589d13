"""Write a figure to a file, its format by the ending: pdf, svg, png, html, csv, tex or md.

Every format that can holds the runs, the commit and the versions (CSV cannot: it would no longer be
one), and the same figure written twice gives the same bytes.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from qtha_lab.core.errors import Refusal
from qtha_lab.figures.machinery import metadata as embed
from qtha_lab.figures.machinery.browser import NoBrowserError, render
from qtha_lab.figures.machinery.page_style import PIXELS_PER_INCH, PageStyle
from qtha_lab.figures.machinery.provenance import Origin, this_checkout

if TYPE_CHECKING:
    from qtha_lab.figures.machinery.figure import Figure

log = logging.getLogger(__name__)

EMBEDDERS: dict[str, Callable[[bytes, dict[str, str]], bytes]] = {
    "pdf": embed.into_pdf,
    "svg": embed.into_svg,
    "png": embed.into_png,
}
# of plotly's own on a page; its button that sends a figure to Plotly's servers is not for research of other people
TOOLBAR = {"displaylogo": False, "showSendToCloud": False}
FORMATS = (*EMBEDDERS, "html", "csv", "tex", "md")


def export(
    figure: "Figure",
    path: Path | str,
    target: str = "one-column",
    theme: str = "light",
    origin: Origin | None = None,
    plotlyjs: bool | str = True,
    page_style: PageStyle | None = None,
) -> Path:
    """Write a figure to a file; pictures are drawn at the size of the target.

    Args:
        figure: What a figure function gave.
        path: The ending says the format.
        target: Where it will stand: one-column (3.5 in), two-column (7.16 in), beamer, poster, screen.
        theme: "light" or "dark".
        origin: Runs, commits and versions to write into the file; None is this checkout and versions.
        plotlyjs: For html: True holds the script (a page that needs nothing else), "directory" puts it
            beside the page once.
        page_style: Takes the place of target and theme, with a font, a width, names and a place of the legend.

    Returns:
        The path written.

    Raises:
        ValueError: If the ending, target or theme is none of those known.
        NoBrowserError: If a picture is asked for and there is no browser; says how to get one.
    """
    path = Path(path)
    form = path.suffix.removeprefix(".").lower()
    if form not in FORMATS:
        raise Refusal(f"a figure is written as {', '.join(FORMATS)}, not as {path.name!r}")
    page_style = page_style or PageStyle(theme, target)
    words = {"title": figure.title, "description": figure.alt}
    words |= (origin or Origin(commits=this_checkout())).words()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_bytes(figure, form, page_style, words, plotlyjs, path))
    log.info("%s written to %s", figure.name, path)
    return path


def export_all(
    figures: Iterable["Figure"],
    folder: Path | str,
    formats: Sequence[str] = FORMATS,
    **options,
) -> tuple[list[Path], str]:
    """Write figures in several formats, each under its own name; go on where there is no browser.

    Args:
        figures: What to write.
        folder: Where to; made if it is missing.
        formats: Names of formats, as of `export`.
        options: As of `export`.

    Returns:
        The paths written, and a sentence that says why pictures are missing (empty if none is).
    """
    paths, message = [], ""
    for figure in figures:
        for form in formats:
            if message and form in EMBEDDERS:
                continue
            try:
                path = Path(folder) / f"{figure.name}.{form}"
                paths.append(export(figure, path, plotlyjs="directory", **options))
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
    dots = embed.DOTS_PER_INCH / PIXELS_PER_INCH if form == "png" else 1.0
    return EMBEDDERS[form](render(figure.at(page_style), form, dots * page_style.zoom), words)


def _put_script(folder: Path) -> None:
    from plotly.offline import get_plotlyjs

    script = folder / "plotly.min.js"
    if not script.exists():
        script.write_text(get_plotlyjs(), encoding="utf-8")


def _html(
    figure: "Figure", page_style: PageStyle, words: dict[str, str], plotlyjs: bool | str
) -> str:
    """Write a page with the figure, its caption, and its numbers in a table that unfolds."""
    page_style = PageStyle(page_style.theme, family=page_style.family, names=page_style.names)
    page_part = figure.at(page_style).to_html(
        full_html=False, include_plotlyjs=plotlyjs, div_id=f"figure-{figure.name}",
        include_mathjax=False, config={"responsive": True, **TOOLBAR},
    )  # fmt: skip
    metas = "\n".join(
        f'<meta name="{"" if name == "description" else "qtha-lab-"}{name}" content="{escape(text)}">'
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
body {{ background: {page_style.inks.paper}; color: {page_style.inks.text}; font: 15px Helvetica, Arial, sans-serif;
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
    """The numbers as a LaTeX table; above it, as comments, where they come from and the figure's lines."""
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
