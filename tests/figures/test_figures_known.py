"""Values computed by figures, against answers worked out by hand."""

import math
import re

import numpy as np
import pytest
from plotly.colors import sample_colorscale, unlabel_rgb
from support.refusals import refused

from qtha_lab.circuits import Angle, Circuit, Gate
from qtha_lab.circuits.gate_table import gate_rows
from qtha_lab.figures.circuit_diagram import circuit_diagram, depth, hover
from qtha_lab.figures.circuit_inputs import circuit_inputs
from qtha_lab.figures.circuit_state import circuit_state, phase_colors
from qtha_lab.figures.forest import forest
from qtha_lab.figures.gradient_variance import fall, gradient_variance
from qtha_lab.figures.machinery import labels
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.provenance import Provenance, build_date
from qtha_lab.figures.machinery.table import Table
from qtha_lab.figures.mpo_diagram import largest_bonds, mpo_diagram, n_parameters
from qtha_lab.figures.pareto import front, pareto
from qtha_lab.figures.rank_by_layer import rank_by_layer, short
from qtha_lab.figures.results_table import results_table
from qtha_lab.figures.spectra import spectra
from qtha_lab.figures.spectrum_over_training import spectrum_over_training


def point(label, cost, quality):
    return {"label": label, "cost": cost, "quality": quality}


def test_the_front_keeps_whom_nobody_beats():
    # b costs as much as a and is worse; d is worse and dearer than c
    points = [point("a", 10, 3.0), point("b", 10, 3.5), point("c", 20, 2.0), point("d", 30, 2.5)]
    assert [p["label"] for p in front(points)] == ["a", "c"]
    assert [p["label"] for p in front(points, lower_is_better=False)] == ["b"]
    assert len(front([point("a", 1, 1.0), point("twin", 1, 1.0)])) == 2


def test_the_bars_of_a_pareto_plot_run_over_the_seeds():
    one = {**point("a", 10, 3.0), "quality_low": 2.5, "quality_high": 3.2}
    marker = pareto([one]).plotly.data[1]
    assert (marker.error_y.array[0], marker.error_y.arrayminus[0]) == pytest.approx((0.2, 0.5))
    assert marker.error_x.array is None  # a cost that is the same for every seed
    marker = pareto([{**one, "cost_low": 8.0, "cost_high": 11.0}]).plotly.data[1]
    assert (marker.error_x.array[0], marker.error_x.arrayminus[0]) == pytest.approx((1.0, 2.0))


def test_a_two_design_falls_twice_a_qubit():
    line = [
        {"ansatz": "a", "n_qubits": n, "n_layers": 9, "variance": 3 * 2.0**-n} for n in (2, 4, 6)
    ]
    assert fall(line) == pytest.approx(2.0)
    assert fall(line[:1]) is None
    flat = [{**one, "variance": 0.1} for one in line]
    assert "does not fall" in gradient_variance(flat).alt


def test_the_law_beside_the_variances_is_two_to_the_minus_n():
    points = [{"ansatz": "a", "n_qubits": n, "n_layers": 1, "variance": 0.5} for n in (2, 5)]
    law = gradient_variance(points).plotly.data[-1]
    assert list(law.y) == pytest.approx([0.5, 0.5 / 8])


def test_sizes_of_an_mpo():
    # any 4 × 4 matrix on two sites of 2 × 2 needs a bond of min(4, 4); cores 1·4·4 and 4·4·1
    assert largest_bonds((2, 2), (2, 2)) == [4]
    assert n_parameters((2, 2), (2, 2), (4,)) == 32
    # R_k · i_k · o_k · R_{k+1}: 1·6·1·3 + 3·4·1·1
    assert n_parameters((6, 4), (1, 1), (3,)) == 18 + 12


def test_bonds_are_drawn_thicker_the_wider_they_are():
    figure = mpo_diagram((4, 4, 4), (4, 4, 4), (2, 16)).plotly
    lines = [
        shape for shape in figure.layout.shapes if shape.type == "line" and shape.y0 == shape.y1
    ]
    thin, thick = (shape.line.width for shape in lines)
    # 0.6 + 1.1 log2 R in units of the line: 1.7 and 5.0
    assert thick / thin == pytest.approx(5.0 / 1.7)


def test_sizes_of_an_mpo_that_do_not_belong_together_are_refused():
    with refused("2 in_dims", "2 and 2"):
        mpo_diagram((2, 2), (2, 2), (2, 2))


def test_gates_become_rows_with_values_and_gradients():
    rotation, ring = Gate("RY", 1, Angle.input(0, scale=2.0)), Gate("CRZ", (0, 1), Angle.param(1))
    rows = gate_rows(
        Circuit(2, [rotation, ring]), inputs=[0.25], params=[9.0, 0.5], gradients=[0.0, -0.1]
    )
    assert rows[0]["angles"] == [{"source": "2·x0", "value": 0.5, "gradient": None}]
    assert hover(rows[1]) == "CRZ on wires 0, 1<br>angle p1 = 0.5 rad, gradient -0.1"


@pytest.mark.parametrize("name", ["qtha", "strongly_entangling", "product"])
def test_depth_and_counts_of_a_diagram_are_the_circuits_own(name):
    from qtha_lab.circuits.ansatze import build

    circuit = build(name, n_qubits=4, n_layers=3)
    rows = gate_rows(circuit)
    assert depth(4, rows) == circuit.depth()
    message = circuit_diagram(4, rows).alt
    assert all(f"{count} {gate}" in message for gate, count in circuit.counts().items())


def test_a_circuit_too_long_for_its_page_counts_what_is_left_out():
    rows = [{"name": "PauliX", "wires": [0]}] * 500
    figure = circuit_diagram(1, rows, max_rows=2).at(PageStyle(target="one-column"))
    texts = [text for trace in figure.data for text in trace.text or ()]
    left_out = next(text for text in texts if text.startswith("…"))
    assert texts.count("X") + int(left_out.split()[1]) == 500


def test_gates_on_wires_that_cross_are_not_drawn_above_each_other():
    rows = [{"name": "CNOT", "wires": [0, 2]}, {"name": "Hadamard", "wires": [1]}]
    figure = circuit_diagram(3, rows).plotly
    x_of = {
        t: x
        for trace in figure.data
        if trace.text
        for t, x in zip(trace.text, trace.x, strict=True)
    }
    assert x_of["H"] > x_of["X"]


def test_counted_singular_values_are_those_above_a_hundredth():
    assert "lora has 2 of 4" in spectra({"lora": [1.0, 0.5, 0.01, 0.0]}).alt
    steps = spectrum_over_training([0, 9], [[0.0, 0.0], [1.0, 0.5]])
    assert steps.alt.endswith("0 of 2 at step 0, 2 at step 9.")
    with refused("values", "(1, 2) for 2 steps"):
        spectrum_over_training([0, 9], [[1.0, 0.5]])


def test_many_layers_become_a_heat_map_and_few_become_bars():
    few = {"lora": {f"model.{n}.q": 2.0 for n in range(4)}}
    many = {f"m{k}": {f"model.{n}.q": 2.0 for n in range(64)} for k in range(3)}
    paper = PageStyle(target="one-column")
    assert rank_by_layer(few).at(paper).data[0].type == "bar"
    assert rank_by_layer(many).at(paper).data[0].type == "heatmap"
    assert short(["a.0.q", "a.1.v"]) == ["0 q", "1 v"]


def test_the_alt_text_of_a_table_names_the_smallest():
    rows = [{"method": "a", "eval loss": "3.2 [3.1–3.3]"}, {"method": "b", "eval loss": "–"}]
    assert (
        results_table(rows).alt
        == "Table of 2 methods: the smallest eval loss is 3.2 [3.1–3.3] of a."
    )
    assert results_table([]).alt == "Table of 0 methods."


def test_a_table_becomes_latex_that_every_engine_sets():
    table = Table(("method", "eval_loss"), [("qtha(use_mpo=false) 5 %", 4.25), ("lora", None)])
    latex = table.latex("⟨Z⟩ of 3 seeds")
    assert r"evaluation loss $\mathcal{L}_\mathrm{eval}$ (nats)" in latex
    assert r"qtha(use\_mpo=false) 5 \% & 4.25 \\" in latex
    assert r"lora & -- \\" in latex
    assert r"$\langle$Z$\rangle$ of 3 seeds" in latex
    assert latex.isascii()
    assert latex.count(r"\toprule") == latex.count(r"\bottomrule") == 1


def test_a_wide_table_is_set_on_its_side():
    row = {"method": "qtha(use_mpo=false)"} | {f"score {n}": n for n in range(9)}
    latex = Table.of([row]).latex()
    assert r"method & qtha(use\_mpo=false) \\" in latex
    assert r"score 8 & 8 \\" in latex


def test_a_long_table_goes_over_pages():
    assert r"\begin{longtable}" in Table(("step",), [(n,) for n in range(41)]).latex()


def test_a_row_of_another_length_is_refused():
    with refused("Row 0", "1"):
        Table(("a", "b"), [(1,)])


def test_labels_have_units_and_unknown_ones_are_shown_as_they_are():
    assert labels.axis("seconds_per_step") == "time per step (s)"
    assert labels.latex("my_score") == "my score"


def test_logarithmic_ticks_are_round_and_inside():
    for low, high in ((1e-9, 1e3), (0.3, 0.8), (5, 5000), (0.02, 0.9)):
        axis = labels.log_axis([low, high])
        result = [math.log10(tick) for tick in axis["tickvals"]]
        assert 1 <= len(result) <= 8
        assert axis["range"][0] <= min(result) <= max(result) <= axis["range"][1]
        assert len(axis["ticktext"]) == len(result)


def test_the_date_is_that_of_source_date_epoch(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    assert build_date("%Y-%m-%d") == "1970-01-01"
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert build_date("%Y") is None


def test_the_origin_names_what_drew():
    message = Provenance(commits=["b", "a", "b"]).words()
    assert message["commit"] == "b, a"
    assert "plotly" in message["versions"]
    assert "runs" not in message


def test_numbers_of_numpy_become_pythons_own():
    assert Table(("a",), [(np.float64(0.5),)]).rows == ((0.5,),)
    assert type(Table(("a",), [(np.int64(3),)]).rows[0][0]) is int


def contrast(one, other):
    """The contrast of two colours `#rrggbb` or `rgb(…)` (WCAG 2.2, relative luminance)."""

    def luminance(color):
        parts = (
            [int(color[k : k + 2], 16) for k in (1, 3, 5)]
            if color.startswith("#")
            else map(float, re.findall(r"[\d.]+", color)[:3])
        )
        linear = [
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
            for c in (part / 255 for part in parts)
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted(map(luminance, (one, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark", "page"])
def test_what_stands_on_a_box_of_a_diagram_can_be_read_in_every_theme(theme):
    """4.5 to 1 at least, as WCAG asks of text; on a page, whose ink is grey, it was 3.5."""
    assert contrast("#000000", "#ffffff") == 21
    page_style = PageStyle(theme)
    gates = [
        {"name": "RY", "wires": [0], "angles": [{"source": "p0"}]},
        {"name": "X", "wires": [0]},
    ]
    for figure, words in (
        (circuit_diagram(1, gates), {"RY", "p0", "X"}),
        (mpo_diagram([2, 2], [2, 2], [3]), {"1", "2"}),
    ):
        drawing = figure.at(page_style)
        fills = {shape.fillcolor for shape in drawing.layout.shapes if shape.fillcolor}
        inks = {
            trace.textfont.color or page_style.inks.text
            for trace in drawing.data
            if trace.mode == "text"
            and words & set(trace.text)
            and (theme != "page" or trace.textfont.color)
        }
        assert inks
        assert min(contrast(ink, fill) for ink in inks for fill in fills) >= 4.5


def test_phases_have_the_colours_of_the_scale_and_no_number_is_left_for_the_page_to_look_up():
    """plotly.js warned of each of 256 numbers as "Invalid color specifier" at each drawing."""
    phases = np.linspace(-math.pi, math.pi, 33)
    shares = ((phases + math.pi) / (2 * math.pi)).tolist()
    expected = [unlabel_rgb(color) for color in sample_colorscale("phase", shares)]
    found = np.array([unlabel_rgb(color) for color in phase_colors(phases)])
    assert np.abs(found - np.array(expected)).max() <= 1  # rounded
    figure = circuit_state([0.5, 0.5], [0.0, 1.0], [0.0], [], {}).plotly
    bars = [trace for trace in figure.data if trace.type == "bar"]
    assert all(
        isinstance(color, str) for trace in bars for color in np.atleast_1d(trace.marker.color)
    )
    (scale,) = [t for t in figure.data if t.marker.colorbar.title.text]
    assert (scale.marker.cmin, scale.marker.cmax) == (-math.pi, math.pi)
    assert "phase" in circuit_state([0.5, 0.5], [0.0, 1.0], [0.0], [], {}).svg()


def test_gradients_of_data_and_of_trained_angles_are_drawn_within_their_axis():
    gradients = {"x0": -0.48, "x1": 0.2, "p0": 0.05}
    figure = circuit_state([0.5, 0.5], [0.0, 1.0], [0.0], [], gradients).plotly
    bars = [trace for trace in figure.data if trace.type == "bar" and trace.yaxis == "y4"]
    drawn = {x: y for trace in bars for x, y in zip(trace.x, trace.y, strict=True)}
    assert drawn == gradients
    low, high = figure.layout.yaxis4.range
    assert low <= -0.48
    assert high >= 0.48
    assert list(figure.layout.xaxis4.categoryarray) == list(gradients)


@pytest.mark.parametrize(("margin", "is_whole"), [(0.02, True), (0.5, False)])
def test_the_band_of_equivalence_is_cut_only_where_it_is_wider_than_all_intervals(margin, is_whole):
    row = {"label": "qtha", "mean": 0.05, "low": -0.01, "high": 0.11, "verdict": "inconclusive"}
    drawn = forest([row | {"margin": margin}], "test_loss", "lora").at(PageStyle())
    low, high = drawn.layout.xaxis.range
    assert (low < -margin and margin < high) is is_whole
    assert low < -0.01
    assert high > 0.11
    band = drawn.layout.shapes[0]
    assert (band.x0, band.x1) == ((-margin, margin) if is_whole else (low, high))


def test_the_legend_of_circuit_inputs_tells_before_from_after_training():
    block = {0: {"angle_std": 0.5, "branch_power": 0.1}}
    both = circuit_inputs({"qtha": {"start": block, "end": block}}).at(PageStyle())
    dashes = {line.name: line.line.dash for line in both.data if line.name != "qtha"}
    assert dashes == {"before training": "dot", "after training": "solid"}
    alone = circuit_inputs({"qtha": {"end": block}}).at(PageStyle())
    assert {line.name for line in alone.data} == {"qtha"}
