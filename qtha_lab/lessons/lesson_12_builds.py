"""Predictions and build of lesson 12: a figure with caption, alt text and table."""

import re
from typing import Any

from qtha_lab.lessons.builds import build_task
from qtha_lab.lessons.predictions import prediction
from qtha_lab.studies.comparison.paired import PairedDifference

prediction(
    "12.a",
    "Which of the five figures shows if the circuit lowers the loss?",
    options=("differences", "rates", "curves", "seeds", "sizes"),
    answer="differences",
    misconceptions={
        "rates": "a curve of means has no interval of a difference",
        "curves": "the spread of curves holds what all methods of a seed have in common",
        "seeds": "dots of two methods may overlap although every pair of them differs",
        "sizes": "it shows each method's mean beside its size, and compares no pair",
    },
)
prediction(
    "12.c",
    "A chart of the best seeds shows one method below the other. "
    "Does the interval over all twenty seeds exclude zero?",
    options=("yes", "no"),
    misconceptions={"yes": "a best seed is the end of a spread, and its axis hides the scale"},
)
prediction(
    "12.b",
    "How many of the words in a figure's alt text name a colour?",
    options=("most", "some", "none"),
    answer="none",
    misconceptions={
        "most": "a reader who needs the text does not see the colours",
        "some": "a reader who needs the text does not see the colours",
    },
)


def example_gaps(seeds: int = 5) -> dict[str, PairedDifference]:
    """Return three paired differences by title, for the checks of the build.

    Args:
        seeds: Number of seeds that they state.
    """
    values = {"LoRA": (-0.054, 0.03), "no circuit": (0.012, 0.02), "bias": (0.0031, 0.004)}
    return {
        title: PairedDifference(mean, mean - half, mean + half, 0.1, seeds, 112, 0.02)
        for title, (mean, half) in values.items()
    }


GIVEN = "three differences over five seeds"
SEVEN = re.compile(r"(?<![\d.])7(?![\d.]*\d)|seven", re.IGNORECASE)


def _is_figure(built):
    from qtha_lab.figures import Figure

    return isinstance(built(example_gaps()), Figure), True, GIVEN


def _table(built):
    rows = [[float(v) for v in row[1:4]] for row in built(example_gaps()).table.rows]
    return rows, [[gap.mean, gap.low, gap.high] for gap in example_gaps().values()], GIVEN


def _drawn(built):
    drawn = built(example_gaps()).plotly
    values = [float(x) for trace in drawn.data for x in (trace.x or ()) if _is_number(x)]
    means = [gap.mean for gap in example_gaps().values()]
    return all(any(abs(x - mean) < 1e-9 for x in values) for mean in means), True, GIVEN


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) or hasattr(value, "dtype")


def _alt(built):
    text = built(example_gaps(7)).alt.replace("−", "-")
    numbers = [v for gap in example_gaps().values() for v in (gap.mean, gap.low, gap.high)]
    missing = [f"{value:+.3f}" for value in numbers if f"{abs(value):.3f}" not in text]
    names = [title for title in example_gaps() if title not in text]
    seeds = [] if SEVEN.search(text) else ["number of seeds"]
    return missing + names + seeds == [], True, "three differences over seven seeds"


def _caption(built):
    text = built(example_gaps(7)).caption
    holds = "95 %" in text, bool(SEVEN.search(text)), text.endswith(".")
    return tuple(holds), (True, True, True), "“95 %”, the number of seeds, and a full stop"


build_task(
    "12.figure",
    "difference_figure",
    steps=(
        ("it returns a Figure", _is_figure),
        ("its table holds mean, low and high of each difference", _table),
        ("it draws the means", _drawn),
        ("the alt text holds each title, each number with three digits, and the seeds", _alt),
        ("the caption states the interval and the seeds, and ends with a full stop", _caption),
    ),
    tolerance=1e-9,
    solution="""
        def difference_figure(gaps):
            rows = [(title, gap.mean, gap.low, gap.high) for title, gap in gaps.items()]
            seeds = max(gap.seeds for gap in gaps.values())
            found = "; ".join(f"{t} {m:+.3f} [{low:+.3f}, {high:+.3f}]" for t, m, low, high in rows)

            def draw(page_style):
                means, highs = ([row[k] for row in rows] for k in (1, 3))
                bars = {"array": [high - mean for mean, high in zip(means, highs)]}
                return go.Figure(go.Scatter(x=means, y=list(gaps), error_x=bars, mode="markers"))

            alt = f"QTHA's test loss minus that of each method, {seeds} seeds: {found}."
            caption = f"Paired differences with 95 % intervals over {seeds} seeds."
            table = Table(("method", "mean", "low", "high"), rows)
            return Figure("differences", draw, caption, alt, table)
    """,
    setup="""
        import plotly.graph_objects as go

        from qtha_lab.figures import Figure
        from qtha_lab.figures.machinery.table import Table
    """,
)
