"""Ticks of parallel coordinates at paper size: words and numbers are readable on eight axes."""

import itertools

import pytest

from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.parallel_coordinates import parallel_coordinates

WORDS = {
    "schedule": ("linear", "cosine", "constant"),
    "init": ("paper", "balanced", "gradient"),
    "middle": ("circuit", "linear"),
    "ansatz": ("qtha", "strongly_entangling", "brickwork"),
    "matching": ("as_given", "equal_r"),
}
AXES = ["schedule", "learning_rate", "init", "r", "ansatz", "waist", "middle", "matching"]


def runs():
    for k in range(12):
        values = {name: words[k % len(words)] for name, words in WORDS.items()}
        values |= {"learning_rate": 0.001 * 3 ** (k % 4), "r": (2, 4, 8)[k % 3]}
        values |= {"waist": (16, 64, 256)[k // 4], "eval_loss": 4 + 0.03 * k}
        yield {"id": str(k), "label": "qtha", "values": values}


@pytest.mark.parametrize("target", ["one-column", "two-column", "beamer"])
def test_no_tick_of_eight_axes_is_shortened(target):
    figure = parallel_coordinates(list(runs()), AXES).at(PageStyle("light", target))
    texts = {note.text for note in figure.layout.annotations}
    assert not [text for text in texts if "…" in text]
    assert {word for words in WORDS.values() for word in words} <= texts


def test_ticks_between_narrow_axes_are_upright_and_apart():
    style = PageStyle("light", "one-column")
    figure = parallel_coordinates(list(runs()), AXES).at(style)
    margin, (low, high) = figure.layout.margin, figure.layout.yaxis.range
    pixels = (figure.layout.height - margin.t - margin.b) / (high - low)
    ticks = [note for note in figure.layout.annotations if note.textangle == -90]
    assert {note.x for note in ticks} >= {1, 2, 4}
    for place in {note.x for note in ticks}:
        here = sorted((note for note in ticks if note.x == place), key=lambda note: note.y)
        spans = []
        for note in here:
            width = style.text_width(note.text, style.small)
            low = note.y * pixels - {"bottom": 0, "middle": 0.5, "top": 1}[note.yanchor] * width
            spans.append((low, low + width))
        assert all(one[1] < other[0] for one, other in itertools.pairwise(spans)), spans


def test_wide_figures_have_level_ticks():
    figure = parallel_coordinates(list(runs())[:4], ["r", "schedule"]).at(PageStyle())
    assert {note.textangle for note in figure.layout.annotations} <= {None, 0}
