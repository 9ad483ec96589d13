"""A figure as a short matplotlib script, for a journal's own fonts: every line a call that a person can edit.

Writes text and runs nothing. Knows what this package's figures hold: lines, marks, bands, bars, cells, shapes and
notes; the script needs matplotlib alone.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import plotly.graph_objects as go

from qtha_lab.figures.machinery import script_notes, script_traces
from qtha_lab.figures.machinery import script_source as source
from qtha_lab.figures.machinery.look import PIXELS_PER_INCH, Look
from qtha_lab.figures.machinery.parts import plain
from qtha_lab.figures.machinery.script_page import ScriptPage
from qtha_lab.figures.machinery.theme import inks


def matplotlib_script(figure: go.Figure, look: Look, words: dict[str, str]) -> str:
    """The script that draws a figure.

    Args:
        figure: As drawn for the look.
        look: Its sizes and fonts.
        words: What is said of it, by name; `title` and `description` head the script.

    Returns:
        Python that writes `NAME.pdf` beside itself, or what is named on its command line.
    """
    page = ScriptPage(plain(figure), look)
    title, alt = (source.safe(words.get(key, "")) for key in ("title", "description"))
    rest = [
        f"{name}: {source.safe(text)}"
        for name, text in words.items()
        if name not in ("title", "description")
    ]
    head = [
        '"""' + (title or "A figure") + ".",
        "",
        alt,
        "",
        *rest,
        "",
        "Run it with Python; matplotlib is all it needs.",
    ]
    lines = [
        *head, '"""', "", "import sys", "from pathlib import Path", "",
        "import matplotlib", "", 'matplotlib.use("Agg")', "import matplotlib.pyplot as plt", "from matplotlib import patches", "",
        f"plt.rcParams.update({_style(page)!r})", *_panels(page), "",
    ]  # fmt: skip
    for trace, before in zip(page.data, [{}, *page.data], strict=False):
        lines += script_traces.trace(page, trace, before)
    lines += script_notes.shapes(page) + script_notes.notes(page) + _axes(page) + _legend(page)
    lines += [
        "", 'target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_suffix(".pdf")',
        "figure.savefig(target, dpi=300)",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _style(page: ScriptPage) -> dict[str, Any]:
    ink = inks(page.look.theme)
    font = page.points(page.look.font)
    family = page.look.family or "sans-serif"
    return {
        "font.family": [part.strip() for part in family.split(",")], "font.size": font,
        "axes.labelsize": font, "xtick.labelsize": round(0.86 * font, 2), "ytick.labelsize": round(0.86 * font, 2),
        "legend.fontsize": font, "text.color": ink.text, "axes.labelcolor": ink.text,
        "axes.edgecolor": ink.text, "xtick.color": ink.text, "ytick.color": ink.text, "grid.color": ink.grid,
        "grid.linewidth": 0.5, "axes.linewidth": 0.7, "figure.facecolor": ink.paper, "axes.facecolor": ink.paper,
        "savefig.facecolor": ink.paper, "axes.spines.top": False, "axes.spines.right": False,
        "axes.axisbelow": True, "pdf.fonttype": 42, "svg.fonttype": "none",
    }  # fmt: skip


def _panels(page: ScriptPage) -> list[str]:
    """Axes that fill the page for a diagram; else a grid as the domains lie."""
    width, height = (
        round((page.layout.get(side) or size) * page.zoom / PIXELS_PER_INCH, 3)
        for side, size in (("width", page.look.width), ("height", page.look.height))
    )
    margin = page.layout.get("margin") or {}
    if all(margin.get(side) == 0 for side in "lrtb"):
        return [
            f"figure = plt.figure(figsize=({width}, {height}))",
            "axes = [figure.add_axes((0, 0, 1, 1))]",
        ]
    domains = [[page.domain(name) for name in pair] for pair in page.pairs]
    columns, rows = _cells_of([d[0] for d in domains]), _cells_of([d[1] for d in domains])
    rows.reverse()  # of matplotlib the first row is the highest
    ratios = {
        "width_ratios": [round(b - a, 3) for a, b in columns],
        "height_ratios": [round(b - a, 3) for a, b in rows],
    }
    lines = [
        f"figure = plt.figure(figsize=({width}, {height}), layout=\"constrained\")",
        f"grid = figure.add_gridspec({len(rows)}, {len(columns)}, **{ratios!r})",
    ]  # fmt: skip
    places = ", ".join(f"grid[{_span(d[1], rows)}, {_span(d[0], columns)}]" for d in domains)
    return [*lines, f"axes = [figure.add_subplot(place) for place in ({places},)]"]


def _axes(page: ScriptPage) -> list[str]:
    lines = []
    for pair in page.pairs:
        axes, hidden = page.names[pair], []
        for letter, name in zip("xy", pair, strict=True):
            axis = page.axis(name)
            log = axis.get("type") == "log"
            if axis.get("visible") is False or (
                axis.get("showticklabels") is False and not axis.get("showline", True)
            ):
                hidden.append(letter)
            if log:
                lines.append(f'{axes}.set_{letter}scale("log")')
            if text := (axis.get("title") or {}).get("text"):
                lines.append(f"{axes}.set_{letter}label({source.words(text)!r})")
            values, words = axis.get("tickvals"), page.categories(name)
            if values is not None or words:
                values = range(len(words)) if values is None else values
                named = [
                    source.words(text) for text in axis.get("ticktext") or words or map(str, values)
                ]
                lines.append(f"{axes}.set_{letter}ticks({list(values)!r}, {named!r})")
                lines.append(f"{axes}.minorticks_off()") if log else None
            if axis.get("range"):
                ends = [10.0**end if log else end for end in axis["range"]]
                lines.append(f"{axes}.set_{letter}lim({ends[0]!r}, {ends[1]!r})")
            elif axis.get("rangemode") == "tozero":
                lines.append(f"{axes}.set_{letter}lim({'left' if letter == 'x' else 'bottom'}=0)")
            elif axis.get("autorange") == "reversed":
                lines.append(f"{axes}.invert_{letter}axis()")
            if angle := axis.get("tickangle"):
                lines.append(f'{axes}.tick_params(axis="{letter}", rotation={-angle})')
            if axis.get("tickformat", "").endswith("%"):
                lines.append(
                    f"{axes}.{letter}axis.set_major_formatter(matplotlib.ticker.PercentFormatter(1, 0))"
                )
        if len(hidden) == 2:
            lines.append(f"{axes}.set_axis_off()")
        else:
            lines += [f"{axes}.{letter}axis.set_visible(False)" for letter in hidden]
            lines += [
                f'{axes}.spines["{"bottom" if letter == "x" else "left"}"].set_visible(False)'
                for letter in hidden
            ]
            lines.append(f"{axes}.grid(True)")
    return lines


def _legend(page: ScriptPage) -> list[str]:
    if not page.seen:
        return []
    widest = max(page.look.text_width(name) for name in page.seen) + 4 * page.look.font
    columns = max(1, min(len(page.seen), int(page.look.width // widest)))
    side = "lower" if page.look.legend in ("auto", "below") else "upper"
    return [
        f'figure.legend(loc="outside {side} left", ncols={columns}, frameon=False, borderaxespad=0.2)'
    ]


def _cells_of(domains: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """The columns (or rows) of a grid, in order: the parts of a page that no narrower part lies in."""
    cells: list[tuple[float, float]] = []
    for domain in sorted(set(domains), key=lambda part: part[1] - part[0]):
        if not any(_overlap(domain, cell) for cell in cells):
            cells.append(domain)
    return sorted(cells)


def _span(domain: tuple[float, float], cells: Sequence[tuple[float, float]]) -> str:
    """The cells that a panel covers, as an index: "0" or "0:3"."""
    covered = [k for k, cell in enumerate(cells) if _overlap(domain, cell)]
    return f"{covered[0]}:{covered[-1] + 1}" if len(covered) > 1 else f"{covered[0]}"


def _overlap(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return min(a[1], b[1]) - max(a[0], b[0]) > 1e-9
