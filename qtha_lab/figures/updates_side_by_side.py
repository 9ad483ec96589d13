"""Plot of the singular values of several updates over training, one panel per update.

All panels share one scale. Takes recorded values; the caller names the measured part of the update.
"""

import functools
from collections.abc import Mapping, Sequence

import numpy as np

from qtha_lab.core.method_styles import shown
from qtha_lab.figures.machinery import labels, theme
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.parts import PlainFigure
from qtha_lab.figures.machinery.table import Table

FLOOR = 1e-6  # of the largest of an update; smaller values are rounding noise or zero
FAINTEST = 0.35
MOST_COLUMNS = 4
MARKED = 12  # up to this many records have markers; lines alone draw in half the time
History = tuple[Sequence[int], Sequence[Sequence[float]]]


def _example() -> dict:
    steps = np.arange(0, 101, 10)
    grown = 1 - np.exp(-steps / 40)
    return {
        "histories": {
            "lora(r=4)": (steps, np.outer(grown, 0.5 ** np.arange(4))),
            "qtha(r=4)": (steps, np.outer(grown**2, 0.3 ** np.arange(4))),
        },
        "of": "linear path of v_proj, layer 0",
        "step": 60,
    }


@figure_function(example=_example)
def updates_side_by_side(
    histories: Mapping[str, History],
    of: str = "ΔW",
    step: int | None = None,
    theme: str = "light",
) -> Figure:
    """Plot every singular value as a line over the steps, the largest most opaque.

    Args:
        histories: By label, the steps and the singular values, (steps, index).
        of: Name of the decomposed matrix, for the texts.
        step: A step to mark.
        theme: "light", "dark" or "page".

    Example:
        >>> updates_side_by_side({"lora": ([0, 5], [[0.0, 0.0], [2.0, 1.0]])}).alt
        'Singular values of ΔW: lora has 2 above zero at step 5, the largest 2.'
    """
    arrays = {
        label: (np.asarray(steps), np.asarray(values, dtype=float))
        for label, (steps, values) in histories.items()
    }
    arrays = {label: arrays_of for label, arrays_of in arrays.items() if arrays_of[1].size}
    floors = {label: FLOOR * values.max() for label, (_, values) in arrays.items()}
    findings = (
        "; ".join(f"{shown(k)} {_count(*arrays_of, floors[k])}" for k, arrays_of in arrays.items())
        or "0 recorded yet"
    )
    caption = (
        f"Singular values of {of} over training, one line each, the largest in the fullest colour;"
        " zeros are left out. All panels share one scale. How large a value is does not say"
        " whether it helps, and a part of the update that depends on the token is not in a matrix"
        " at all."
    )
    rows = [
        (label, s, i, v)
        for label, (steps, values) in arrays.items()
        for s, row in zip(steps, values, strict=True)
        for i, v in enumerate(row, start=1)
    ]
    table = Table(("method", "step", "index", "singular_value"), rows)
    draw = functools.partial(_draw, arrays, floors, step)
    return Figure(
        "updates_side_by_side", draw, caption, f"Singular values of {of}: {findings}.", table, theme
    )


def _count(steps: np.ndarray, values: np.ndarray, floor: float) -> str:
    last = values[-1]
    count = int((last > floor).sum())
    return f"has {count} above zero at step {steps[-1]}, the largest {last.max():.2g}"


def _draw(
    histories: dict, floors: dict[str, float], step: int | None, page_style: PageStyle
) -> PlainFigure:
    traces, layout = [], _panels(histories, page_style)
    for number, (label, (steps, values)) in enumerate(histories.items(), start=1):
        style = theme.method_style(label)
        key = "" if number == 1 else str(number)
        place = {"xaxis": f"x{key}", "yaxis": f"y{key}"}
        for index, line in enumerate(values.T):
            share = 1 - (1 - FAINTEST) * index / max(1, values.shape[1] - 1)
            color = theme.faint(style["color"], round(share, 3))
            hover = f"{shown(label)}<br>step %{{x}}: σ{index + 1} = %{{y:.3g}}<extra></extra>"
            traces.append({
                "type": "scatter", "mode": "lines+markers" if len(steps) <= MARKED else "lines",
                **place,
                "x": steps, "y": np.where(line > floors[label], line, np.nan),
                "line": {"color": color, "dash": style["dash"], "width": page_style.line},
                "marker": {"color": color, "symbol": style["symbol"],
                "size": 0.6 * page_style.marker},
                "hovertemplate": hover,
            })  # fmt: skip
    values_above = [v for k, (_, values) in histories.items() for v in values.flat if v > floors[k]]
    scale = labels.log_axis(values_above)
    layout = {k: v | scale if k.startswith("yaxis") else v for k, v in layout.items()}
    if step is not None and histories:
        line = {"dash": "dot", "width": page_style.line, "color": page_style.inks.text}
        shape = {"type": "line", "x0": step, "x1": step, "y0": 0, "y1": 1, "line": line}
        keys = ["", *(str(number) for number in range(2, len(histories) + 1))]
        layout["shapes"] = [{**shape, "xref": f"x{k}", "yref": f"y{k} domain"} for k in keys]
    return PlainFigure(traces, layout)


def _panels(histories: dict, page_style: PageStyle) -> dict:
    """Lay out titled panels in rows, stacked where the page is narrow."""
    count = max(1, len(histories))
    columns = _columns(histories, page_style)
    rows = -(-count // columns)
    share = 0.6 if page_style.theme == "page" else 0.85  # a pane is narrower than its page
    names = [page_style.wrap(label, share * page_style.width / columns) for label in histories]
    above = (2.2 + 1.3 * max((name.count("<br>") for name in names), default=0)) * page_style.font
    below = 3 * page_style.font
    height = (
        page_style.height
        if rows == 1
        else min(rows * (0.55 * page_style.height + above), 1.4 * page_style.width)
    )
    if page_style.narrow:
        height = min(0.62 * count, 1.4) * page_style.width
    gap_across = 0.12 / columns
    gap_down = min((above + below) / (height - above - below), 0.45 / rows)
    across = (1 - gap_across * (columns - 1)) / columns
    down = (1 - gap_down * (rows - 1)) / rows
    layout = {"showlegend": False, "annotations": [], "margin": {"t": above}, "height": height}
    for number in range(count):
        row, column = divmod(number, columns)
        key = "" if number == 0 else str(number + 1)
        left, top = column * (across + gap_across), 1 - row * (down + gap_down)
        step = (
            {} if number + columns < count else {"title": {"text": "step"}}
        )  # under the lowest of a column
        layout[f"xaxis{key}"] = {
            "domain": [left, min(1, left + across)],
            "anchor": f"y{key}",
            **step,
        }
        title = "" if column else "singular value σ"
        up = [max(0, top - down), top]
        axis = {"domain": up, "anchor": f"x{key}", "title": {"text": title}}
        layout[f"yaxis{key}"] = axis | {"showticklabels": column == 0}  # all have one scale
        if number < len(histories):
            name = {"text": names[number], "showarrow": False, "font": {"size": page_style.font}}
            name["align"] = "left"
            place = {"x": left, "xanchor": "left", "y": top, "yanchor": "bottom"}
            layout["annotations"].append({**name, **place, "xref": "paper", "yref": "paper"})
    return layout


def _columns(histories: dict, page_style: PageStyle) -> int:
    """Return the number of panels per row.

    The widest unbreakable part of the panel titles limits the number.
    """
    if page_style.narrow or not histories:
        return 1
    parts = [part for label in histories for part in page_style.wrap(label, 0).split("<br>")]
    widest = max(map(page_style.text_width, parts)) + 2 * page_style.font
    return max(1, min(len(histories), MOST_COLUMNS, int(page_style.width // widest)))
