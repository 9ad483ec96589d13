"""One look everywhere.

Styles that people can tell apart, and loss curves that say what they show.
"""

import itertools
import subprocess

import numpy as np
import pytest
from support.preloaded import PYTHON
from support.refusals import refused

from qtha_lab.adapters import method_names
from qtha_lab.figures.loss_curves import curve_text, decimate, from_events, loss_curves
from qtha_lab.figures.machinery import theme

COLORS = [theme.BLUE, theme.VERMILLION, theme.GREEN, theme.PINK, theme.SKY, theme.GREY]
# Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB.
SIGHT = {
    "usual": np.eye(3),
    "deuteranopia": np.array(
        [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]
    ),
    "protanopia": np.array(
        [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]
    ),
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(color):
    parts = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def lab(light):
    ratio = XYZ @ light / np.array([0.9505, 1.0, 1.089])
    x, y, z = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("sight", SIGHT)
def test_every_two_colours_differ_for_every_sight(sight):
    for one, other in itertools.combinations(COLORS, 2):
        seen = [lab(np.clip(SIGHT[sight] @ linear(color), 0, 1)) for color in (one, other)]
        assert np.linalg.norm(seen[0] - seen[1]) > 10, (one, other)  # 2.3 is just noticeable


@pytest.mark.parametrize("paper", ["#ffffff", "#111111"])
def test_every_colour_stands_out_from_the_paper(paper):
    for color in COLORS:
        light, dark = sorted((XYZ[1] @ linear(c) for c in (color, paper)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 3, color  # WCAG 2.2, graphical objects


def test_every_method_has_a_look_of_its_own():
    looks = {name: tuple(theme.method_style(name).values()) for name in method_names()}
    assert len(set(looks.values())) == len(looks), f"give one a look of its own: {looks}"


def test_options_keep_the_colour_and_change_the_line():
    plain, chosen = theme.method_style("qtha"), theme.method_style("qtha(r=4,waist=16)")
    assert chosen["color"] == plain["color"]
    assert chosen["dash"] != plain["dash"]
    assert theme.method_style("qtha(r=4, waist=16)") == chosen


def test_two_labels_never_look_the_same_in_one_figure():
    labels = [f"qtha(r={r},waist={w})" for r in (2, 4) for w in (16, 32, 64)]
    styles = theme.distinct_styles(["qtha", *labels, "lora"])
    assert len({(s["color"], s["symbol"]) for s in styles.values()}) == len(styles)
    assert styles["qtha"] == theme.method_style("qtha")
    lines = theme.distinct_styles(
        ["lora", *(f"lora(learning_rate={rate})" for rate in (0.003, 0.01, 1e5))]
    )
    assert len({s["dash"] for s in lines.values()}) == len(lines)


@pytest.mark.slow
def test_a_style_is_the_same_in_every_process():
    code = (
        "from qtha_lab.figures.machinery.theme import method_style as m; print(m('never-heard-of'))"
    )
    process = subprocess.run([*PYTHON, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == str(theme.method_style("never-heard-of"))


def test_an_unknown_theme_is_refused_in_a_sentence():
    with refused("theme", "'neon'"):
        theme.template("neon")


def run_of(label, seed, end):
    steps = [0, 25, 50]
    return {"label": label, "seed": seed, "kind": "eval", "steps": steps, "values": [6.0, 5.5, end]}


@pytest.mark.parametrize("page_style", ["light", "dark", "page"])
def test_seeds_become_a_mean_and_a_band_from_the_smallest_to_the_largest(page_style):
    seeds = [run_of("lora", s, end) for s, end in enumerate((5.0, 5.2))]
    figure = loss_curves(seeds, page_style).plotly
    low, high, mean = figure.data
    assert (low.y[-1], high.y[-1], mean.y[-1]) == (5.0, 5.2, pytest.approx(5.1))
    assert high.fill == "tonexty"
    assert [trace.showlegend for trace in figure.data] == [False, False, True]


def test_each_label_stands_once_in_the_legend_by_the_curve_with_the_symbol():
    train = {**run_of("qtha", 0, 5.1), "kind": "train"}
    figure = loss_curves([train, run_of("qtha", 0, 5.1), run_of("lora", 0, 5.0)])
    named = [trace for trace in figure.plotly.data if trace.showlegend]
    assert [trace.name for trace in named] == ["qtha", "lora"]
    assert all(trace.mode == "lines+markers" for trace in named)


def test_axes_carry_units_and_the_alt_text_states_the_finding():
    figure = loss_curves([run_of("lora", 0, 5.0), run_of("lora", 1, 5.2)])
    assert figure.plotly.layout.yaxis2.title.text == "evaluation loss (nats)"
    assert figure.alt == (
        "Evaluation loss: lora falls from 6.000 to 5.100 (2 seeds, 5.000 to 5.200)."
    )
    assert "does not show" in figure.caption


def test_a_run_that_got_worse_is_not_said_to_fall():
    assert "lora goes from 6.000 to 7.000" in curve_text([run_of("lora", 0, 7.0)])


def test_nothing_yet_is_a_figure_too():
    titled = curve_text([run_of("lora(r=2,title='small one')", 0, 5.0)])
    assert titled == "Evaluation loss: small one falls from 6.000 to 5.000 (1 seed)."
    assert loss_curves([]).alt == "Evaluation loss: nothing evaluated yet."


def test_a_long_curve_is_thinned_without_losing_its_spike():
    values = np.ones(50_000)
    values[31_234] = 9.0
    steps, remaining = decimate(np.arange(50_000), values)
    assert len(steps) <= 802
    assert steps[remaining.argmax()] == 31_234
    assert (steps[0], steps[-1]) == (0, 49_999)


def test_losses_that_were_no_numbers_leave_a_gap():
    events = [{"kind": "train", "step": 1, "loss": 5.0}, {"kind": "train", "step": 2, "loss": None}]
    assert from_events("lora", 0, events)[0]["steps"] == [1]
